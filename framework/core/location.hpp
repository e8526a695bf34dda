// A line of the user's code.
#pragma once

#include <cstdint>
#include <type_traits>

#include "framework/core/api.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// A file and a line. It stands for std::source_location, which clang 14 lacks with libstdc++. It
/// is the same class for all compilers, since it is part of the names of the library's symbols.
class SourceLocation {
 public:
  /// Returns the place of the call. As a default argument it is the place of the outermost call.
  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          unsigned line = __builtin_LINE()) noexcept {
    SourceLocation here;
    here.file_ = file;
    here.line_ = line;
    return here;
  }
  constexpr const char* file_name() const noexcept { return file_; }
  constexpr unsigned line() const noexcept { return static_cast<unsigned>(line_); }

 private:
  const char* file_ = "";
  // As wide as a pointer, so that there is no padding: locations are compared by their bytes.
  std::uintptr_t line_ = 0;
};
static_assert(std::has_unique_object_representations_v<SourceLocation>);

}  // namespace v0
}  // namespace rapt
