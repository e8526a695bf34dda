#include <cmath>

#include "ops/kernels/simd/peak.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using rapt::kernels::kernels;
using rapt::kernels::PeakKernels;
using rapt::test::Guarded;

namespace {
// Below, at and beyond a vector and a round of the unrolled loops, with tails.
const int64_t sizes[] = {0, 1, 3, 16, 17, 127, 128, 129, 1000, 1031};
}  // namespace

TEST_CASE("the reading loop sums every element once and reads none past the end") {
  for (const int64_t n : sizes) {
    Guarded<float> x(n, 1.0, 7);
    double sum = 0, size = 0;
    for (int64_t i = 0; i < n; ++i) {
      sum += static_cast<double>(x[i]);
      size += std::abs(static_cast<double>(x[i]));
    }
    // A few roundings of float per partial sum: well below one element's share.
    CHECK(std::abs(static_cast<double>(kernels<PeakKernels>().read(x.data(), n)) - sum) <=
          1e-6 * size);
  }
}

TEST_CASE("the writing and copying loops reach every element and none past the end") {
  for (const int64_t n : sizes) {
    Guarded<float> from(n, 1.0, 8), to(n);
    kernels<PeakKernels>().write(to.data(), 3.5f, n);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) wrong += to[i] == 3.5f ? 0 : 1;
    CHECK(wrong == 0);
    kernels<PeakKernels>().copy(from.data(), to.data(), n);
    for (int64_t i = 0; i < n; ++i) wrong += to[i] == from[i] ? 0 : 1;
    CHECK(wrong == 0);
  }
}

TEST_CASE("the multiply-add loop does the operations that it counts") {
  const PeakKernels& peak = kernels<PeakKernels>();
  const int64_t elements = peak.flops_per_round / 2;
  for (const int64_t rounds : {0, 1, 3, 1000}) {
    // The i-th group starts at 1 + i / 1000; every round is x = 0.999 x + 0.001, which leaves
    // x - 1 smaller by 0.999.
    constexpr int groups = 12;
    double expected = 0;
    for (int i = 0; i < groups; ++i) {
      expected += static_cast<double>(elements) / groups *
                  (1 + 0.001 * i * std::pow(0.999, static_cast<double>(rounds)));
    }
    // Floats near 1 round by 6e-8 a step, and the steps' errors fade with 0.999 each: 6e-5 at most.
    CHECK(static_cast<double>(peak.multiply_add(rounds)) == Approx(expected).epsilon(6e-5));
  }
}
