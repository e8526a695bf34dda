#include "framework/core/out_of_memory.hpp"

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

}  // namespace rapt
