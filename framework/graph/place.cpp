#include "framework/graph/place.hpp"

#include <array>
#include <string_view>

#include "framework/core/error.hpp"

namespace rapt::internal {

/// True if a line is in the library's own sources, which are compiled with the same root folder as
/// this file.
static bool is_own(SourceLocation where) {
  constexpr std::string_view here = __FILE__;
  constexpr std::string_view root = here.substr(0, here.rfind("framework/"));
  std::string_view file = where.file_name();
  if (!file.starts_with(root)) return false;
  file.remove_prefix(root.size());
  constexpr std::array<std::string_view, 4> folders{"framework/", "ops/", "optim/", "models/"};
  for (const std::string_view folder : folders) {
    if (file.starts_with(folder)) return true;
  }
  return false;
}

Place::Place(SourceLocation where) : innermost_(where) { add_line(where); }

void Place::add_line(SourceLocation where) {
  if (is_own(where)) return;
  if (!found_) mistake_ = where;
  call_ = where;
  found_ = true;
}

void Place::add_path(const std::string& path) {
  if (path_.empty()) path_ = path;
}

std::string Place::text() const {
  std::string text = path_.empty() ? "" : path_ + ", ";
  if (!found_) return text + to_string(innermost_);
  const std::string mistake = to_string(mistake_), call = to_string(call_);
  return text + mistake + (call == mistake ? "" : ", called at " + call);
}

}  // namespace rapt::internal
