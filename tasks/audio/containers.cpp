#include "tasks/audio/containers.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

namespace rapt::tasks {
namespace {

enum class Endian { little, big };

/// Reads bytes and numbers at places of a file. A place beyond the end gives zeros.
class Bytes {
 public:
  Bytes(std::istream& file, std::uint64_t size) : file_(file), size_(size) {}

  std::uint64_t size() const { return size_; }
  std::string text(std::uint64_t at, std::size_t count) {
    std::string bytes(count, '\0');
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(at));
    file_.read(bytes.data(), static_cast<std::streamsize>(count));
    return bytes;
  }
  std::uint64_t number(std::uint64_t at, std::size_t count, Endian endian) {
    std::string bytes = text(at, count);
    if (endian == Endian::little) std::reverse(bytes.begin(), bytes.end());
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }

 private:
  std::istream& file_;
  std::uint64_t size_;
};

/// The layout of a file of chunks: a name, a size, and as many bytes.
struct Layout {
  std::uint64_t first;     // where the first chunk begins
  std::size_t name = 4;    // bytes of a chunk's name
  std::size_t number = 4;  // bytes of its size
  Endian endian = Endian::little;
  std::uint64_t align = 2;  // chunks begin at multiples of this
  bool whole = false;       // true: the size counts name and size too
};

struct Chunk {
  std::string name;
  std::uint64_t begin, size;  // of what it holds
};

/// Calls `visit` with each chunk until it returns false or the file ends. Damaged sizes can neither
/// lead back nor on for ever.
template <class Visit>
void each_chunk(Bytes& file, const Layout& layout, Visit&& visit) {
  constexpr int most_chunks = 10'000;
  const std::uint64_t head = layout.name + layout.number;
  std::uint64_t at = layout.first;
  for (int n = 0; n < most_chunks && at < file.size() && file.size() - at >= head; ++n) {
    std::uint64_t size = file.number(at + layout.name, layout.number, layout.endian);
    if (layout.whole) size = size > head ? size - head : 0;
    if (!visit(Chunk{file.text(at, 4), at + head, size})) return;
    const std::uint64_t left = file.size() - at - head;
    if (size > left) return;
    at += head + size;
    at += (layout.align - at % layout.align) % layout.align;
  }
}

bool is_unknown(std::uint64_t size) {
  return size == 0 || size == 0x7FFFF000 || size == 0x7FFFFFFF || size == 0xFFFFFFFF;
}

ContainerFacts facts(const Bytes& file, std::uint64_t begin, std::optional<std::uint64_t> size) {
  ContainerFacts found;
  found.announced = size;
  found.held = file.size() - std::min(begin, file.size());
  return found;
}

/// WAV in its three forms: RIFF, the same in big endian, and RF64 with sizes of 64 bits.
std::optional<ContainerFacts> read_wav(Bytes& file, Endian endian) {
  std::optional<ContainerFacts> found;
  std::optional<std::uint64_t> rate, long_size;
  each_chunk(file, {.first = 12, .endian = endian}, [&](const Chunk& chunk) {
    if (chunk.name == "fmt ") rate = file.number(chunk.begin + 4, 4, endian);
    if (chunk.name == "ds64") long_size = file.number(chunk.begin + 8, 8, endian);
    if (chunk.name != "data") return true;
    std::optional<std::uint64_t> size = chunk.size;
    if (chunk.size == 0xFFFFFFFF && long_size) size = long_size;
    const bool empty = chunk.size == 0 && file.number(4, 4, endian) + 8 > chunk.begin;
    if (is_unknown(*size) && !empty) size.reset();
    found = facts(file, chunk.begin, size);
    if (chunk.size == 0 && !empty) found->zero_at = chunk.begin - 4;
    return false;
  });
  if (!found && rate) found = ContainerFacts{};
  if (found) found->rate = rate;
  return found;
}

std::optional<ContainerFacts> read_form(Bytes& file) {
  std::optional<ContainerFacts> found;
  each_chunk(file, {.first = 12, .endian = Endian::big}, [&](const Chunk& chunk) {
    const bool sound = chunk.name == "SSND";
    if (!sound && chunk.name != "BODY") return true;
    // SSND begins with two numbers of 4 bytes. sox writes about 0x7F000000 to a pipe, rounded down
    // to whole frames.
    const std::uint64_t head = sound ? 8 : 0, size = std::max(chunk.size, head) - head;
    const bool unknown = is_unknown(chunk.size) || (size > 0x7EFFFF00 && size <= 0x7F000000);
    found = facts(file, chunk.begin + head, unknown ? std::nullopt : std::optional(size));
    return false;
  });
  return found;
}

std::optional<ContainerFacts> read_wave64(Bytes& file) {
  std::optional<ContainerFacts> found;
  const Layout layout{.first = 40, .name = 16, .number = 8, .align = 8, .whole = true};
  each_chunk(file, layout, [&](const Chunk& chunk) {
    if (chunk.name != "data") return true;
    found = facts(file, chunk.begin, chunk.size == 0 ? std::nullopt : std::optional(chunk.size));
    return false;
  });
  return found;
}

std::optional<ContainerFacts> read_caf(Bytes& file) {
  std::optional<ContainerFacts> found;
  const Layout layout{.first = 8, .number = 8, .endian = Endian::big, .align = 1};
  each_chunk(file, layout, [&](const Chunk& chunk) {
    if (chunk.name != "data") return true;
    const bool unknown = chunk.size == ~std::uint64_t{0};
    // It begins with the number of edits, 4 bytes.
    const std::uint64_t size = std::max<std::uint64_t>(chunk.size, 4) - 4;
    found = facts(file, chunk.begin + 4, unknown ? std::nullopt : std::optional(size));
    return false;
  });
  return found;
}

std::optional<ContainerFacts> read_au(Bytes& file, Endian endian) {
  const std::uint64_t begin = file.number(4, 4, endian), size = file.number(8, 4, endian);
  return facts(file, begin, is_unknown(size) ? std::nullopt : std::optional(size));
}

/// NIST SPHERE: a header of text with lines such as "sample_count -i 3128".
std::optional<ContainerFacts> read_sphere(Bytes& file) {
  const std::string header = file.text(0, 1024);
  const auto field = [&](std::string_view name) -> std::optional<std::uint64_t> {
    // The value follows its type: -i, or -s1 for a text of one character.
    const std::size_t at = header.find("\n" + std::string(name) + " -");
    if (at == header.npos) return {};
    const std::size_t type = at + name.size() + 2, blank = header.find(' ', type);
    if (blank == header.npos) return {};
    std::uint64_t value = 0;
    const char* begin = header.data() + blank + 1;
    const auto [end, error] = std::from_chars(begin, header.data() + header.size(), value);
    if (error != std::errc() || value > 0xFFFFFFFF) return {};
    return value;
  };
  const auto count = field("sample_count"), bytes = field("sample_n_bytes");
  if (!count || !bytes || *bytes > 8) return {};
  const std::uint64_t channels = std::min<std::uint64_t>(field("channel_count").value_or(1), 1024);
  return facts(file, 1024, *count * *bytes * channels);
}

}  // namespace

std::optional<ContainerFacts> read_container(std::istream& stream, std::uint64_t size) {
  Bytes file(stream, size);
  const std::string mark = file.text(0, 16);
  const auto is = [&](std::string_view text) { return std::string_view(mark).starts_with(text); };
  if (is("RIFF") || is("RF64") || is("BW64")) return read_wav(file, Endian::little);
  if (is("RIFX")) return read_wav(file, Endian::big);
  if (is("FORM")) return read_form(file);
  if (is("riff\x2E\x91\xCF\x11")) return read_wave64(file);
  if (is("caff")) return read_caf(file);
  if (is(".snd")) return read_au(file, Endian::big);
  if (is("dns.")) return read_au(file, Endian::little);
  if (is("NIST_1A\n   1024\n")) return read_sphere(file);
  return {};
}

}  // namespace rapt::tasks
