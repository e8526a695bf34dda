// The main function of every test program: checks first that the requested instruction set is
// active.
#define CATCH_CONFIG_RUNNER
#include "tests/support/catch.hpp"
#include "tests/support/forced_isa.hpp"

int main(int argc, char** argv) {
  if (const int status = rapt::forced_isa_status(); status != 0) return status;
  return Catch::Session().run(argc, argv);
}
