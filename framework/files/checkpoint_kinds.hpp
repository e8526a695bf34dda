// Recognition of files that are mistaken for safetensors files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "framework/core/internal.hpp"

namespace rapt::internal {

/// Number of bytes that other_kind() needs from the beginning of a file.
inline constexpr int64_t beginning_of_kind = 512;

/// Describes the kind of a file that begins with these bytes, and gives advice: "is a Git LFS
/// pointer, not the file itself: run git lfs pull". Returns nothing if it may be a safetensors
/// file.
std::optional<std::string> other_kind(std::string_view beginning);

}  // namespace rapt::internal
