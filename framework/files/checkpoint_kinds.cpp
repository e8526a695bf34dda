#include "framework/files/checkpoint_kinds.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rapt::internal {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view by_torch =
    "load it in Python and save it with safetensors.torch.save_file";

struct Kind {
  std::string_view magic, text;
};

constexpr Kind kinds[] = {
    {"version https://git-lfs"sv, "is a Git LFS pointer, not the file itself: run git lfs pull"},
    {"\x89HDF\r\n\x1a\n"sv, "is an HDF5 file: load it in Python and save it with safetensors"},
    {"\x1f\x8b"sv, "is compressed with gzip: unpack it first"},
    {"\xfd\x37zXZ\0"sv, "is compressed with xz: unpack it first"},
    {"\x28\xb5\x2f\xfd"sv, "is compressed with zstd: unpack it first"},
    {"\x93NUMPY"sv, "is a NumPy array: read it with load_npy()"},
    {"GGUF"sv, "is a GGUF file, not a safetensors file"},
};

/// Returns the name of a zip archive's first file. Its length is at byte 26, the name at byte 30.
std::string_view first_name(std::string_view zip) {
  if (zip.size() < 30) return {};
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(zip[i]));
  };
  return zip.substr(30, byte(26) + 256 * byte(27));
}

std::string of_zip(std::string_view zip) {
  const std::string_view name = first_name(zip);
  if (name.ends_with(".npy")) return "is a NumPy archive (.npz): save it with safetensors.numpy";
  if (name.ends_with("data.pkl")) return fmt::format("is a PyTorch checkpoint: {}", by_torch);
  return fmt::format("is a zip archive; if it is a PyTorch checkpoint, {}", by_torch);
}

bool is_ascii_text(char c) { return (c >= ' ' && c < 127) || c == '\n' || c == '\t' || c == '\r'; }

/// True if all bytes are text and the first 8 are plain ASCII. A binary header length rarely
/// looks like this.
bool is_text(std::string_view bytes) {
  const std::string_view length = bytes.substr(0, 8);
  return std::all_of(length.begin(), length.end(), is_ascii_text) &&
         std::all_of(bytes.begin(), bytes.end(), [](char c) {
           return is_ascii_text(c) || static_cast<unsigned char>(c) >= 128;
         });
}

std::string of_text(std::string_view text) {
  if (text.find("\"weight_map\"") != std::string_view::npos) {
    return "is an index of several safetensors files: load each of those it names";
  }
  const auto end =
      std::find_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; });
  const auto length = static_cast<size_t>(end - text.begin());
  const std::string_view shown = text.substr(0, std::min<size_t>(length, 60));
  return fmt::format("is a text file, not a safetensors file; it begins with \"{}\"", shown);
}

}  // namespace

std::optional<std::string> other_kind(std::string_view beginning) {
  if (beginning.empty()) return "is empty";
  // A safetensors file begins with the length of its header (8 bytes, below 2^32) and the header.
  if (beginning.size() > 8 && beginning.substr(4, 5) == "\0\0\0\0{"sv) return std::nullopt;
  for (const Kind& kind : kinds) {
    if (beginning.starts_with(kind.magic)) return std::string(kind.text);
  }
  if (beginning.starts_with("PK\3\4") || beginning.starts_with("PK\5\6")) return of_zip(beginning);
  // A pickle begins with its protocol number, except for the old protocols 0 and 1. Then comes an
  // opcode. The length of a short safetensors header would have a zero there.
  if (beginning.size() > 2 && beginning[0] == '\x80' && beginning[1] >= 2 && beginning[1] <= 5 &&
      beginning[2] != 0) {
    return fmt::format("is a PyTorch checkpoint, or another pickle: {}", by_torch);
  }
  if (is_text(beginning)) return of_text(beginning);
  return std::nullopt;
}

}  // namespace rapt::internal
