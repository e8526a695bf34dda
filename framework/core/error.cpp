#include "framework/core/error.hpp"

#include <fmt/format.h>

#include <string_view>

namespace rapt {

std::string to_string(const SourceLocation& where) {
  std::string_view file = where.file_name();
  if (const size_t slash = file.find_last_of("/\\"); slash != std::string_view::npos) {
    file.remove_prefix(slash + 1);
  }
  return fmt::format("{}:{}", file, where.line());
}

}  // namespace rapt
