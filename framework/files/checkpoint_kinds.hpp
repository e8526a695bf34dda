// Files that are taken for safetensors files, and are others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rapt {

/// How many bytes of a file other_kind() looks at.
inline constexpr int64_t beginning_of_kind = 512;

/// What a file is that begins with these bytes, and what to do: "is a Git LFS pointer, not the file
/// itself: run git lfs pull". Nothing where it may be a safetensors file.
std::optional<std::string> other_kind(std::string_view beginning);

}  // namespace rapt
