// Checks that the instruction set given by RAPT_ISA is active.
#pragma once

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "framework/core/cpu.hpp"

namespace rapt {

/// Returns 0 if it is active or none is given, else an exit code. The code is 77 (skipped) if the
/// processor lacks the instruction set, and 1 if the setting had no effect.
inline int forced_isa_status() {
  const char* forced = std::getenv("RAPT_ISA");
  if (forced == nullptr) return 0;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (name(isa) == forced && isa > detected_isa()) {
      std::cout << "skipped: this processor has no " << forced << "\n";
      return 77;
    }
  }
  if (name(active_isa()) != forced) {
    std::cout << "RAPT_ISA=" << forced << " did not take effect\n";
    return 1;
  }
  return 0;
}

}  // namespace rapt
