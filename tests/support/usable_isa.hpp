// Checks with public names alone that the processor has the instruction set of RAPT_ISA.
#pragma once

#include <iostream>
#include <rapt/ops.hpp>
#include <string_view>

namespace rapt {

/// Returns 0 if it has, or if none is given. Returns 77 (skipped) if the processor lacks it. The
/// first operator that runs reads the variable.
inline int forced_isa_status() {
  try {
    const Tape tape;
    (void)(as_var(zeros({1})) + 1).item();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find("this processor has no") == std::string_view::npos) {
      throw;
    }
    std::cout << "skipped: " << error.what() << "\n";
    return 77;
  }
  return 0;
}

}  // namespace rapt
