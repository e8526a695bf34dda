#include <fmt/format.h>

#include <rapt/framework/error.hpp>
#include <rapt/framework/out_of_memory.hpp>
#include <string_view>

namespace rapt {

/// Made while there is memory: to throw it takes none, as copies share its text.
static const OutOfMemory last_resort("out of memory, also for a message that says where");

void throw_out_of_memory(FunctionRef<std::string()> text) {
  try {
    throw OutOfMemory(text());
  } catch (const std::bad_alloc&) {
    throw last_resort;
  }
}

bool has_place(const std::exception& error) {
  return std::string_view(error.what()).find("; at ") != std::string_view::npos;
}

std::string to_string(const SourceLocation& where) {
  std::string_view file = where.file_name();
  if (const size_t slash = file.find_last_of("/\\"); slash != std::string_view::npos) {
    file.remove_prefix(slash + 1);
  }
  return fmt::format("{}:{}", file, where.line());
}

}  // namespace rapt
