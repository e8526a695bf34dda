// How memory that cannot be had becomes an Error that says what it was for.
#pragma once

#include <new>

#include "framework/core/error.hpp"
#include "framework/core/function_ref.hpp"
#include "framework/core/internal.hpp"

namespace rapt::internal {

/// Throws OutOfMemory made of parts(). If there is no memory for that either, throws one that was
/// made before.
[[noreturn]] void throw_out_of_memory(FunctionRef<ErrorParts()> parts);

/// Calls body(). If it lacks memory, throws OutOfMemory made of parts(). An OutOfMemory from
/// further inside that names its place passes.
template <class Body, class Parts>
auto or_out_of_memory(const Body& body, const Parts& parts) {
  try {
    return body();
  } catch (const OutOfMemory& error) {
    if (!error.place().empty()) throw;
    throw_out_of_memory(parts);
  } catch (const std::bad_alloc&) {
    throw_out_of_memory(parts);
  }
}

}  // namespace rapt::internal
