// The optimizers' kernels against their reference.
#include <cmath>
#include <vector>

#include "ops/kernels/elementwise/optimizer.hpp"
#include "ops/kernels/elementwise/reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using namespace rapt::kernels;
using rapt::test::Guarded;

namespace {

template <class T>
const OptimizerFunctions<T>& table() {
  return kernels_for<OptimizerKernels, T>();
}

/// A few roundings of values near 1.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 5e-7 : 1e-15;

/// Lengths with and without a partial vector at the end, for every width.
constexpr int64_t lengths[] = {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 67, 1000};

template <class T>
std::vector<double> doubles(Guarded<T>& values) {
  return {values.data(), values.data() + values.size()};
}

template <class T>
void check(Guarded<T>& got, const std::vector<double>& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    INFO("element " << i << " of " << want.size());
    REQUIRE(std::abs(static_cast<double>(got[static_cast<int64_t>(i)]) - want[i]) <=
            tolerance<T> * (1 + std::abs(want[i])));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("sgd", "", float, double) {
  using T = TestType;
  const SgdNumbers numbers{.lr = 0.1, .momentum = 0.9, .decay = 0.01, .nesterov = 0};
  SgdNumbers lookahead = numbers;
  lookahead.nesterov = 1;
  const double scale = 0.25;
  for (const int64_t n : lengths) {
    for (const int kind : {0, 1, 2}) {  // plain, momentum, Nesterov
      for (const bool scaled : {false, true}) {
        Guarded<T> p(n, 1, 1), u(n, 1, 2), g(n, 1, 3);
        std::vector<double> want = doubles(p), velocity = doubles(u);
        for (size_t i = 0; i < want.size(); ++i) {
          const double gradient = (scaled ? scale : 1) * double(g[int64_t(i)]);
          reference::sgd(kind == 2 ? lookahead : numbers, gradient, want[i], velocity[i],
                         kind != 0);
        }
        const SgdUpdate<T> update{.parameter = p.data(),
                                  .velocity = kind == 0 ? nullptr : u.data(),
                                  .gradient = g.data(),
                                  .numbers = kind == 2 ? &lookahead : &numbers,
                                  .scale = scaled ? &scale : nullptr};
        table<T>().sgd(update, 0, n);
        check(p, want);
        if (kind != 0) check(u, velocity);
      }
    }
  }
}

TEMPLATE_TEST_CASE("adam", "", float, double) {
  using T = TestType;
  const double scale = 0.25;
  for (const int64_t n : lengths) {
    for (const bool decoupled : {false, true}) {
      const AdamNumbers numbers{.beta1 = 0.9,
                                .beta2 = 0.99,
                                .eps = 1e-3,
                                .step = 0.05,
                                .root = 1.7,
                                .shrink = decoupled ? 0.98 : 1,
                                .decay = decoupled ? 0 : 0.02};
      Guarded<T> p(n, 1, 1), m(n, 1, 2), v(n, 1, 3), g(n, 1, 4);
      for (int64_t i = 0; i < n; ++i) v[i] = std::abs(v[i]);
      std::vector<double> want = doubles(p), mean = doubles(m), variance = doubles(v);
      for (size_t i = 0; i < want.size(); ++i) {
        reference::adam(numbers, scale * double(g[int64_t(i)]), want[i], mean[i], variance[i]);
      }
      const AdamUpdate<T> update{.parameter = p.data(),
                                 .mean = m.data(),
                                 .variance = v.data(),
                                 .gradient = g.data(),
                                 .numbers = &numbers,
                                 .scale = &scale};
      table<T>().adam(update, 0, n);
      check(m, mean);
      check(v, variance);
      check(p, want);
    }
  }
}

TEMPLATE_TEST_CASE("an update touches its range alone, wherever it is cut", "", float, double) {
  using T = TestType;
  const AdamNumbers numbers{0.9, 0.99, 1e-8, 0.05, 1.7, 1, 0};
  constexpr int64_t n = 100;
  const auto run = [&](const std::vector<int64_t>& cuts) {
    Guarded<T> p(n, 1, 1), m(n, 1, 2), v(n, 0, 3), g(n, 1, 4);
    const AdamUpdate<T> update{p.data(), m.data(), v.data(), g.data(), &numbers, nullptr};
    for (size_t i = 0; i + 1 < cuts.size(); ++i) table<T>().adam(update, cuts[i], cuts[i + 1]);
    return doubles(p);
  };
  const std::vector<double> before = run({0}), whole = run({0, n});
  CHECK(run({0, 5, 37, 64, n}) == whole);
  const std::vector<double> middle = run({3, 90});
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    REQUIRE(middle[i] == (i >= 3 && i < 90 ? whole[i] : before[i]));
    REQUIRE(before[i] != whole[i]);
  }
}

TEMPLATE_TEST_CASE("sums and averages", "", float, double) {
  using T = TestType;
  for (const int64_t n : lengths) {
    Guarded<T> sum(n, 1, 1), mean(n, 1, 2), x(n, 1, 3);
    std::vector<double> sums = doubles(sum), means = doubles(mean);
    for (size_t i = 0; i < sums.size(); ++i) {
      const auto value = static_cast<double>(x[static_cast<int64_t>(i)]);
      sums[i] += value;
      means[i] = 0.75 * means[i] + 0.25 * value;
    }
    table<T>().accumulate(sum.data(), x.data(), 0, n);
    table<T>().average(mean.data(), x.data(), 0.75, 0, n);
    check(sum, sums);
    check(mean, means);
  }
}

TEMPLATE_TEST_CASE("sum of squares", "", float, double) {
  using T = TestType;
  CHECK(table<T>().sum_of_squares(nullptr, 0, 0) == 0);
  for (const int64_t n : {1, 15, 16, 17, 127, 4096, 4097, 16384, 100003}) {
    Guarded<T> x(n, 3, 1);
    const int64_t begin = n > 5 ? 5 : 0;
    double want = 0;
    for (int64_t i = begin; i < n; ++i) {
      want += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    // 64 additions in T at the most before the sums go on in double.
    CHECK(table<T>().sum_of_squares(x.data(), begin, n) ==
          Approx(want).epsilon(sizeof(T) == 4 ? 1e-6 : 1e-14).margin(0));
  }
  // A gradient like a long, even row, where a sum in float stands still at 2^24.
  Guarded<T> ones(20000000);
  for (int64_t i = 0; i < ones.size(); ++i) ones[i] = T(1);
  CHECK(table<T>().sum_of_squares(ones.data(), 0, ones.size()) == 2e7);
}
