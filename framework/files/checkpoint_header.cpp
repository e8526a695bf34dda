#include "framework/files/checkpoint_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "framework/core/error.hpp"

namespace rapt::internal {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* metadata_name = "__metadata__";

[[noreturn]] void fail(const std::string& message) { throw FileError("the header " + message); }

/// Shortens a name from the file for a message.
std::string shown(const std::string& name) {
  return name.size() <= 100 ? name : name.substr(0, 100) + "...";
}

/// Collects the header's entries during parsing. No document is built, so that a hostile header
/// needs no more memory than its own content.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(SafetensorsHeader& header) : header_(header) {}

  bool start_object(std::size_t) override {
    if (in_array_ || depth_ > 1) fail("has an object where none belongs");
    ++depth_;
    return true;
  }

  bool key(std::string& text) override {
    if (depth_ == 2) {
      field_ = text;
      return true;
    }
    if (!names_.insert(text).second) fail(fmt::format("has {} twice", shown(text)));
    in_metadata_ = text == metadata_name;
    entry_ = {};
    entry_.name = text;
    type_.reset();
    shape_.reset();
    offsets_.reset();
    return true;
  }

  bool end_object() override {
    if (--depth_ == 0 || in_metadata_) return true;
    if (!type_ || !shape_ || !offsets_ || offsets_->size() != 2) {
      fail(fmt::format("lacks the dtype, the shape or the data_offsets of {}", shown(entry_.name)));
    }
    entry_.type = *type_;
    entry_.shape = Shape(std::span<const int64_t>(*shape_));
    entry_.begin = (*offsets_)[0];
    entry_.end = (*offsets_)[1];
    header_.entries.push_back(std::move(entry_));
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_array_ || in_metadata_) fail("has an array where none belongs");
    in_array_ = true;
    if (field_ == "shape" && !shape_) {
      shape_.emplace();
    } else if (field_ == "data_offsets" && !offsets_) {
      offsets_.emplace();
    } else {
      fail(fmt::format("has the array {} in {}", shown(field_), shown(entry_.name)));
    }
    return true;
  }

  bool end_array() override {
    in_array_ = false;
    return true;
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (!in_array_) fail("has a number where none belongs");
    if (number > static_cast<uint64_t>(INT64_MAX)) fail("has a number that is too large");
    std::vector<int64_t>& list = field_ == "shape" ? *shape_ : *offsets_;
    if (list.size() == static_cast<size_t>(field_ == "shape" ? max_rank : 2)) {
      fail(fmt::format("has too many numbers in the {} of {}", field_, shown(entry_.name)));
    }
    list.push_back(static_cast<int64_t>(number));
    return true;
  }

  bool string(std::string& text) override {
    if (depth_ != 2 || in_array_) fail("has a text where none belongs");
    if (in_metadata_) {
      if (!header_.metadata.emplace(field_, text).second) {
        fail(fmt::format("has the metadata {} twice", shown(field_)));
      }
      return true;
    }
    if (field_ != "dtype" || type_) {
      fail(fmt::format("has the text {} in {}", shown(field_), shown(entry_.name)));
    }
    type_ = stored_type_named(text);
    if (!type_) {
      throw FileError(fmt::format("{} holds {}; known are {}", shown(entry_.name), shown(text),
                                  stored_type_names()));
    }
    return true;
  }

  bool null() override { fail("has a null"); }
  bool boolean(bool) override { fail("has a boolean"); }
  bool number_integer(number_integer_t) override { fail("has a negative number"); }
  bool number_float(number_float_t, const std::string&) override { fail("has a fraction"); }
  bool binary(Json::binary_t&) override { fail("has binary data"); }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    fail(fmt::format("is no JSON at byte {}", position));
  }

 private:
  SafetensorsHeader& header_;
  int depth_ = 0;
  bool in_array_ = false, in_metadata_ = false;
  std::unordered_set<std::string> names_;
  std::string field_;
  SafetensorsEntry entry_;
  std::optional<StoredType> type_;
  std::optional<std::vector<int64_t>> shape_, offsets_;
};

/// Returns the bytes of an entry according to its shape, or nothing if they exceed 63 bits. Empty
/// dimensions count as 1 for this limit, because strides are products of the others.
std::optional<int64_t> bytes_of(const SafetensorsEntry& entry) {
  int64_t n = size_of(entry.type);
  bool empty = false;
  for (const int64_t dim : entry.shape) {
    empty = empty || dim == 0;
    if (__builtin_mul_overflow(n, std::max<int64_t>(dim, 1), &n)) return std::nullopt;
  }
  return empty ? 0 : n;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes) {
  SafetensorsHeader header;
  HeaderReader reader(header);
  if (text.empty() || text.front() != '{') fail("does not begin with {");
  // The JSON parser takes a zero byte for the end of the text and would ignore what follows.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    fail(fmt::format("has a zero at byte {}", zero));
  }
  Json::sax_parse(text.begin(), text.end(), &reader);
  // JSON also permits other white space at the end. The format permits only blanks.
  if (text.substr(0, text.find_last_not_of(' ') + 1).back() != '}') {
    fail("has more than blanks behind its last }");
  }

  auto& entries = header.entries;
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t at = 0;
  const SafetensorsEntry* cut = nullptr;  // the first entry that extends beyond the data
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != at || entry.end < entry.begin) {
      throw FileError(fmt::format("{} lies at bytes {} to {}, but the data before it end at {}",
                                  shown(entry.name), entry.begin, entry.end, at));
    }
    if (bytes_of(entry) != entry.end - entry.begin) {
      throw FileError(fmt::format("{} is {} {}, but has {} bytes", shown(entry.name),
                                  name(entry.type), to_string(entry.shape),
                                  entry.end - entry.begin));
    }
    at = entry.end;
    if (at > data_bytes && cut == nullptr) cut = &entry;
  }
  if (cut != nullptr) {
    throw FileError(
        fmt::format("is truncated: its arrays take {} bytes, of which {} are there; {} is "
                    "the first that is not whole",
                    at, data_bytes, shown(cut->name)));
  }
  if (at != data_bytes) {
    throw FileError(fmt::format("has {} bytes of data, its tensors {}", data_bytes, at));
  }
  return header;
}

std::string write_safetensors_header(const SafetensorsHeader& header) {
  Json json = Json::object();
  if (!header.metadata.empty()) json[metadata_name] = header.metadata;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.name == metadata_name || json.contains(entry.name)) {
      throw FileError(fmt::format("the name {} is taken", shown(entry.name)));
    }
    json[entry.name] = {{"dtype", name(entry.type)},
                        {"shape", std::vector<int64_t>(entry.shape.begin(), entry.shape.end())},
                        {"data_offsets", {entry.begin, entry.end}}};
  }
  try {
    return json.dump();
  } catch (const Json::exception&) {
    throw FileError("a name or a text is not UTF-8");
  }
}

}  // namespace rapt::internal
