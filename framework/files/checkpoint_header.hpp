// The header of a safetensors file: the names, types, shapes and positions of its arrays.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/internal.hpp"
#include "framework/files/checkpoint_types.hpp"

namespace rapt::internal {

struct SafetensorsEntry {
  std::string name;
  StoredType type = StoredType::f32;
  Shape shape;
  int64_t begin = 0, end = 0;  // in bytes, from the start of the data
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Parses a header whose data take `data_bytes` bytes. Throws Error unless it strictly follows the
/// format and the entries cover the data without a gap.
SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes);

/// Returns the header's text. Throws Error if a name or a text is not UTF-8.
std::string write_safetensors_header(const SafetensorsHeader& header);

}  // namespace rapt::internal
