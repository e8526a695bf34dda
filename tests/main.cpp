// The main of every test program: asserts that the instruction set asked for is the one at work.
#define CATCH_CONFIG_RUNNER
#include <cstdlib>
#include <iostream>
#include <rapt/framework/cpu.hpp>
#include <rapt/framework/error.hpp>
#include <string_view>

#include "catch.hpp"

int main(int argc, char** argv) {
  const char* forced = std::getenv("RAPT_ISA");
  if (forced != nullptr) {
    for (const rapt::Isa isa : {rapt::Isa::baseline, rapt::Isa::avx2, rapt::Isa::avx512}) {
      if (rapt::name(isa) == forced && isa > rapt::detected_isa()) {
        std::cout << "skipped: this processor has no " << forced << "\n";
        return 77;
      }
    }
    if (rapt::name(rapt::active_isa()) != forced) {
      std::cout << "RAPT_ISA=" << forced << " did not take effect\n";
      return 1;
    }
  }
  return Catch::Session().run(argc, argv);
}
