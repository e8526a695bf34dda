// Pooling kernels against their reference, on arrays that end where memory does.
#include <cmath>
#include <limits>
#include <vector>

#include "ops/kernels/convolution/pooling.hpp"
#include "ops/kernels/convolution/reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

namespace rapt::test {
namespace {

using namespace rapt::kernels;

struct Axis {
  int64_t in, kernel, stride, padding;
};

PoolShape shape_of(const Axis& rows, const Axis& columns) {
  const auto out = [](const Axis& a) { return (a.in + 2 * a.padding - a.kernel) / a.stride + 1; };
  return {{rows.in, columns.in},
          {out(rows), out(columns)},
          {rows.kernel, columns.kernel},
          {rows.stride, columns.stride},
          {rows.padding, columns.padding}};
}

template <class T>
void check(const PoolShape& s) {
  INFO("plane " << s.in[0] << " x " << s.in[1] << ", windows " << s.kernel[0] << " x "
                << s.kernel[1] << ", stride " << s.stride[0] << ", " << s.stride[1] << ", padding "
                << s.padding[0] << ", " << s.padding[1]);
  const auto& f = kernels_for<PoolKernels, T>();
  const int64_t in = s.in[0] * s.in[1], out = s.out[0] * s.out[1];
  Guarded<T> x(in, 1, 1), g(out, 1, 2), largest(out), sum(out), spread(in);
  Guarded<int32_t> place(out);
  Guarded<T> scratch(pool_scratch(s));
  for (int64_t i = 0; i < in; i += 7) x[i] = T(0.5);  // Some elements are equal.
  f.max(s, x.data(), largest.data(), place.data(), scratch.data());
  f.sum(s, x.data(), sum.data(), T(0.25), scratch.data());
  f.spread(s, g.data(), spread.data(), T(0.25), scratch.data());

  std::vector<double> sums(static_cast<size_t>(out)), spreads(static_cast<size_t>(in));
  std::vector<int64_t> places(static_cast<size_t>(out), -1);
  reference::pool(s, [&](int64_t at, int64_t y) {
    sums[size_t(y)] += 0.25 * double(x[at]);
    spreads[size_t(at)] += 0.25 * double(g[y]);
    int64_t& best = places[size_t(y)];
    if (best < 0 || x[at] > x[best]) best = at;
  });
  const double close = sizeof(T) == 4 ? 1e-5 : 1e-14;
  for (int64_t y = 0; y < out; ++y) {
    REQUIRE(place[y] == places[size_t(y)]);
    REQUIRE(largest[y] == x[places[size_t(y)]]);
    REQUIRE(std::abs(double(sum[y]) - sums[size_t(y)]) < close);
  }
  for (int64_t i = 0; i < in; ++i) {
    REQUIRE(std::abs(double(spread[i]) - spreads[size_t(i)]) < close);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("pooling, all sorts of windows", "[pooling]", float, double) {
  for (const int64_t kernel : {1, 2, 3, 5}) {
    for (const int64_t stride : {1, 2, 4}) {
      for (const int64_t padding : {int64_t{0}, (kernel - 1) / 2}) {
        for (const int64_t columns : {5, 16, 37}) {
          check<TestType>(
              shape_of({7, kernel, stride, padding}, {columns, kernel, stride, padding}));
          check<TestType>(shape_of({9, 2, 3, 1}, {columns, kernel, stride, padding}));
        }
      }
    }
  }
}

}  // namespace rapt::test
