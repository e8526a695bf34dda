// A line of the user's code.
#pragma once

#include <cstdint>
#include <type_traits>

#if __has_include(<source_location>)
#include <source_location>
#endif

#include "framework/core/api.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

#if defined(__cpp_lib_source_location)
using SourceLocation = std::source_location;
#else
/// Replaces std::source_location if the standard library lacks it (clang 14 with libstdc++).
class SourceLocation {
 public:
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
#endif
static_assert(std::has_unique_object_representations_v<SourceLocation>);

}  // namespace v0
}  // namespace rapt
