// Model files whose metadata were changed by somebody else.
#pragma once

#include <map>
#include <string>

#include "framework/files/checkpoint.hpp"

namespace rapt::test {

/// Writes a model file again with other metadata. An empty value removes the entry.
inline void alter(const std::string& path, const std::map<std::string, std::string>& entries) {
  Checkpoint saved = load_safetensors(path);
  for (const auto& [name, value] : entries) {
    if (value.empty()) {
      saved.metadata.erase(name);
    } else {
      saved.metadata[name] = value;
    }
  }
  save_safetensors(path, saved.tensors, saved.metadata);
}

}  // namespace rapt::test
