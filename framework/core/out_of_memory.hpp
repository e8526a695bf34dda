// How memory that cannot be had becomes an Error that says what it was for.
#pragma once

#include <new>
#include <string>

#include "framework/core/error.hpp"
#include "framework/core/function_ref.hpp"

namespace rapt {

/// Throws OutOfMemory with the message text(); where there is no memory for that either, with a
/// message that was made before.
[[noreturn]] void throw_out_of_memory(FunctionRef<std::string()> text);

/// Whether the message says already where it happened.
bool has_place(const std::exception& error);

/// Calls body(). Where it lacks memory, throws OutOfMemory with the message text(); one from
/// further inside that names its place passes.
template <class Body, class Text>
auto or_out_of_memory(const Body& body, const Text& text) {
  try {
    return body();
  } catch (const OutOfMemory& error) {
    if (has_place(error)) throw;
    throw_out_of_memory(text);
  } catch (const std::bad_alloc&) {
    throw_out_of_memory(text);
  }
}

}  // namespace rapt
