// The header of a safetensors file: what is in the file and where.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framework/files/checkpoint_types.hpp"

namespace rapt {

struct SafetensorsEntry {
  std::string name;
  StoredType type = StoredType::f32;
  Shape shape;
  int64_t begin = 0, end = 0;  // bytes, from where the data starts
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Reads a header whose data take `data_bytes`. Throws Error unless it is in the format to the
/// letter, and the entries cover the data without a gap.
SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes);

/// The header's text. Throws Error where a name or a text is not UTF-8.
std::string write_safetensors_header(const SafetensorsHeader& header);

}  // namespace rapt
