#include "framework/core/out_of_memory.hpp"

namespace rapt::internal {

/// Made while there is memory: throwing a copy allocates nothing, because copies share the text.
static const OutOfMemory last_resort("out of memory, also for a message that says where");

void throw_out_of_memory(FunctionRef<ErrorParts()> parts) {
  try {
    throw OutOfMemory(parts());
  } catch (const std::bad_alloc&) {
    throw last_resort;
  }
}

}  // namespace rapt::internal
