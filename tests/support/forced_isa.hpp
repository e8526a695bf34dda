// Whether the instruction set that RAPT_ISA asks for is the one at work.
#pragma once

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "framework/core/cpu.hpp"

namespace rapt {

/// 0: it is, or none is asked for. Else what the program has to exit with: 77 where the processor
/// lacks it (skipped), 1 where it did not take effect.
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
