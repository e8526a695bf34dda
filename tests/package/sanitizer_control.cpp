// Commits, in an operator of a user's, what a sanitizer is to report: sanitizer_control NAME.
#include <cstdio>
#include <memory>
#include <rapt/rapt.hpp>
#include <string>

namespace {

using rapt::ForwardContext;
using rapt::ShapeContext;

/// Reads the element behind an array of its own.
void overrun(const ForwardContext& c) {
  const auto values = std::make_unique<float[]>(8);
  const volatile int64_t n = 8;
  c.output().as<float>()[0] = values[static_cast<size_t>(n)];
}

void shift(const ForwardContext& c) {
  const volatile int bits = 40;
  c.output().as<float>()[0] = static_cast<float>(1 << bits);
}

/// All parts of a loop add to one number.
void race(const ForwardContext& c) {
  float& sum = c.output().as<float>()[0];
  sum = 0;
  c.parallel(1000, [&](int64_t i) { sum += static_cast<float>(i); });
}

constexpr rapt::Op with(void (*forward)(const ForwardContext&)) {
  return {.name = "fault",
          .shape = [](ShapeContext& c) { return c.input(0); },
          .cpu = {.forward = forward}};
}

constinit const rapt::Op overrun_op = with(overrun), shift_op = with(shift), race_op = with(race);

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc == 2 ? argv[1] : "";
  rapt::Executor executor({.threads = 4, .parallel_from = 0});
  const rapt::Executor::Use use(executor);
  // A race needs a second thread in the loop, and that may come late.
  for (int repeat = 0; repeat < 50; ++repeat) {
    rapt::Tape tape;
    const rapt::Var x = rapt::as_var(rapt::zeros({1000000}));
    const rapt::Var y = name == "address"     ? rapt::record(overrun_op, {x})
                        : name == "undefined" ? rapt::record(shift_op, {x})
                                              : rapt::record(race_op, {x});
    std::printf("%g\n", y.value().data<float>()[0]);
  }
}
