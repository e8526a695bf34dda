#include "framework/files/checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "framework/core/error.hpp"
#include "framework/files/checkpoint_header.hpp"
#include "framework/files/checkpoint_kinds.hpp"
#include "framework/files/files.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

/// The data begin at a multiple of this, so that a memory-mapped file can be read in place.
constexpr size_t alignment = 64;
/// Maximum length of a header that the format's own library accepts.
constexpr uint64_t longest_header = 100'000'000;

/// Calls work() and adds the file's name to the message of an Error.
template <class Work>
auto about(const std::string& path, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw FileError(fmt::format("{}: {}", path, error.what()));
  }
}

/// Returns the index of an element of a row-major array, as text: "[1, 4]".
std::string place_of(int64_t index, const Shape& shape) {
  Shape place = shape;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    place[axis] = index % shape[axis];
    index /= shape[axis];
  }
  return to_string(place);
}

/// Reads elements that need conversion, through a small buffer.
void read_converted(const File& file, const SafetensorsEntry& entry, const Tensor& tensor) {
  std::vector<std::byte> buffer(1 << 16);
  const int64_t size = size_of(entry.type), at_once = static_cast<int64_t>(buffer.size()) / size;
  auto* to = static_cast<std::byte*>(tensor.bytes());
  for (int64_t done = 0; done < tensor.size(); done += at_once) {
    const int64_t n = std::min(at_once, tensor.size() - done);
    file.read(buffer.data(), n * size);
    const auto unfit = convert(entry.type, buffer.data(), n, to + done * size_of(tensor.dtype()));
    if (unfit) {
      throw FileError(fmt::format("{} holds {} at {}, which int32 cannot hold", entry.name,
                                  unfit->value, place_of(done + unfit->index, entry.shape)));
    }
  }
}

Tensor read_tensor(const File& file, const SafetensorsEntry& entry) {
  const Tensor tensor(entry.shape, read_as(entry.type));
  if (is_converted(entry.type)) {
    read_converted(file, entry, tensor);
    return tensor;
  }
  const int64_t bytes = entry.end - entry.begin;
  file.read(tensor.bytes(), bytes);
  if (tensor.dtype() == DType::boolean) {
    const auto* values = static_cast<const uint8_t*>(tensor.bytes());
    if (std::any_of(values, values + bytes, [](uint8_t value) { return value > 1; })) {
      throw FileError(fmt::format("{} holds booleans other than 0 and 1", entry.name));
    }
  }
  return tensor;
}

Checkpoint read_file(const std::string& path) {
  const File file(path, O_RDONLY | O_NONBLOCK);  // opening a pipe must not block; it is refused
                                                 // below
  const int64_t size = file.size();
  if (const auto kind = other_kind(file.beginning(beginning_of_kind))) throw FileError(*kind);
  uint64_t length = 0;
  if (size < 8) throw FileError("is too short for a safetensors file");
  file.read(&length, sizeof length);
  const auto rest = static_cast<uint64_t>(size) - sizeof length;
  if (length > longest_header) {
    throw FileError(fmt::format(
        "is no safetensors file: by its first 8 bytes, its header has {} bytes", length));
  }
  if (length > rest) {
    throw FileError(
        fmt::format("is truncated: it has {} bytes, its header alone {}", size, length));
  }
  std::string text(length, '\0');
  file.read(text.data(), static_cast<int64_t>(length));
  SafetensorsHeader header = parse_safetensors_header(text, static_cast<int64_t>(rest - length));
  Checkpoint result;
  result.metadata = std::move(header.metadata);
  for (SafetensorsEntry& entry : header.entries) {
    const Tensor tensor = read_tensor(file, entry);
    result.tensors.emplace_back(std::move(entry.name), tensor);
  }
  return result;
}

std::unordered_map<std::string, const Tensor*> by_name(const NamedTensors& tensors) {
  std::unordered_map<std::string, const Tensor*> map;
  for (const auto& [name, tensor] : tensors) map.emplace(name, &tensor);
  return map;
}

/// The reasons why `saved` does not fit `own`: one line each, at most 20.
class Differences {
 public:
  void add(const std::string& line) {
    if (++count_ <= 20) text_ += "\n  " + line;
  }
  void check() const {
    if (count_ == 0) return;
    const std::string more = count_ > 20 ? fmt::format("\n  and {} more", count_ - 20) : "";
    throw Error({.kind = ErrorKind::shape,
                 .op = "restore",
                 .detail = fmt::format("the saved arrays do not fit:{}{}", text_, more)});
  }

 private:
  int count_ = 0;
  std::string text_;
};

void restore(const NamedTensors& own, const NamedTensors& saved, bool all) {
  const auto known = by_name(saved);
  Differences differences;
  std::vector<const Tensor*> found;
  for (const auto& [name, tensor] : own) {
    const auto it = known.find(name);
    if (it == known.end()) {
      differences.add("missing: " + name);
      continue;
    }
    const Tensor& other = *it->second;
    if (other.shape() != tensor.shape() || other.dtype() != tensor.dtype()) {
      differences.add(fmt::format("{} is {} {}, saved was {} {}", name, rapt::name(tensor.dtype()),
                                  to_string(tensor.shape()), rapt::name(other.dtype()),
                                  to_string(other.shape())));
    }
    found.push_back(&other);
  }
  if (all) {
    const auto wanted = by_name(own);
    for (const auto& [name, tensor] : saved) {
      if (wanted.count(name) == 0) differences.add("not asked for: " + name);
    }
  }
  differences.check();
  for (size_t i = 0; i < own.size(); ++i) own[i].second.copy_from(*found[i]);
}

void set(const std::vector<Parameter>& parameters, const NamedTensors& saved, bool all) {
  restore(named(parameters), saved, all);
  for (const Parameter& parameter : parameters) ++parameter.state()->version;
}

}  // namespace

const Tensor& Checkpoint::operator[](const std::string& name) const {
  for (const auto& [known, tensor] : tensors) {
    if (known == name) return tensor;
  }
  throw Error({.op = "Checkpoint", .detail = "there is no array named " + name});
}

void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata) {
  for (const auto& [name, tensor] : tensors) {
    if (tensor) continue;
    throw Error({.op = "save_safetensors",
                 .detail = fmt::format("{} is an empty tensor, to be written to {}", name, path)});
  }
  about(path, [&] {
    // Writes larger elements first, so that every array is aligned to its elements.
    NamedTensors ordered = tensors;
    std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
      return size_of(a.second.dtype()) > size_of(b.second.dtype());
    });
    SafetensorsHeader header{.entries = {}, .metadata = metadata};
    int64_t at = 0;
    for (auto& [name, tensor] : ordered) {
      if (!tensor.is_contiguous()) tensor = tensor.clone();
      const int64_t bytes = tensor.size() * size_of(tensor.dtype());
      header.entries.push_back({name, written_as(tensor.dtype()), tensor.shape(), at, at + bytes});
      at += bytes;
    }
    std::string text = write_safetensors_header(header);
    text.resize((text.size() + 8 + alignment - 1) / alignment * alignment - 8, ' ');

    write_whole_file(path, [&](const File& file) {
      const uint64_t length = text.size();
      file.write(&length, sizeof length);
      file.write(text.data(), static_cast<int64_t>(text.size()));
      for (const auto& [name, tensor] : ordered) {
        file.write(tensor.bytes(), tensor.size() * size_of(tensor.dtype()));
      }
    });
  });
}

Checkpoint load_safetensors(const std::string& path) {
  return about(path, [&] { return read_file(path); });
}

void restore(const NamedTensors& own, const NamedTensors& saved) { restore(own, saved, false); }

NamedTensors named(const std::vector<Parameter>& parameters) {
  NamedTensors result;
  std::unordered_set<std::string_view> names;
  for (const Parameter& parameter : parameters) {
    const std::string& name = parameter.name();
    if (name.empty()) {
      throw Error({.op = "named",
                   .detail = fmt::format("parameter {} of {} has no name: parameters(model) lists "
                                         "and names those of a model",
                                         result.size(), parameters.size())});
    }
    if (!names.insert(name).second) {
      throw Error({.op = "named",
                   .detail = fmt::format("two parameters are named '{}': list them by "
                                         "parameters() of a struct that holds both parts",
                                         name)});
    }
    result.emplace_back(name, parameter.value());
  }
  return result;
}

void save_parameters(const std::string& path, const std::vector<Parameter>& parameters,
                     const std::map<std::string, std::string>& metadata) {
  save_safetensors(path, named(parameters), metadata);
}

void set_parameters(const std::vector<Parameter>& parameters, const NamedTensors& saved) {
  set(parameters, saved, false);
}

void load_parameters(const std::string& path, const std::vector<Parameter>& parameters) {
  const Checkpoint checkpoint = load_safetensors(path);
  about(path, [&] { set(parameters, checkpoint.tensors, true); });
}

}  // namespace v0
}  // namespace rapt
