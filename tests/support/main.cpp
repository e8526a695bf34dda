// The main function of every test program: checks first that the requested instruction set is
// active. RAPT_TEST_PUBLIC is 1 in programs that see only what a shared library exports.
#define CATCH_CONFIG_RUNNER
#include "tests/support/catch.hpp"
#if RAPT_TEST_PUBLIC
#include "tests/support/usable_isa.hpp"
#else
#include "tests/support/forced_isa.hpp"
#endif

int main(int argc, char** argv) {
  if (const int status = rapt::forced_isa_status(); status != 0) return status;
  return Catch::Session().run(argc, argv);
}
