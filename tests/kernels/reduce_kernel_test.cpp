// Reductions, cumulative sums and strided copies against their references.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "ops/kernels/elementwise/copy.hpp"
#include "ops/kernels/elementwise/reference.hpp"
#include "ops/kernels/rows/reduce.hpp"
#include "ops/kernels/rows/reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using namespace rapt::kernels;
using rapt::test::Guarded;

namespace {

template <class T>
const ReduceFunctions<T>& functions() {
  return kernels_for<ReduceKernels, T>();
}

// Runs all tasks, backwards or forwards.
template <class T>
void reduce(Reduction r, const ReduceShape& shape, const T* x, void* out, bool backwards = false,
            T* rest = nullptr) {
  const ReducePlan p = kernels<ReduceKernels>().plan(r, shape);
  std::vector<T> scratch(size_t(p.scratch), std::numeric_limits<T>::quiet_NaN());
  for (int64_t t = 0; t < p.tasks; ++t) {
    functions<T>().run(p, x, out, rest, scratch.data(), backwards ? p.tasks - 1 - t : t);
  }
  for (int64_t t = 0; t < p.combine_tasks; ++t) {
    functions<T>().combine(p, scratch.data(), out, rest, backwards ? p.combine_tasks - 1 - t : t);
  }
}

struct Size {
  size_t outer, n, inner;
};

const std::vector<Size> sizes{{1, 0, 1},     {2, 0, 3},     {0, 4, 1},      {3, 1, 1},
                              {3, 7, 1},     {2, 16, 1},    {4, 33, 1},     {1, 1000, 1},
                              {70, 65, 1},   {2, 33000, 1}, {1, 100001, 1}, {2, 1, 5},
                              {3, 5, 7},     {2, 130, 17},  {1, 9, 513},    {2, 300, 1100},
                              {1, 3000, 50}, {70, 2, 3},    {1, 50000, 3}};

// The element at [o, i, c] of a view whose rows and slices have gaps.
struct View {
  ReduceShape shape;
  size_t size;
  explicit View(const Size& s, int64_t gap_of_rows = 2) {
    const int64_t gap = s.inner == 1 ? 0 : gap_of_rows;
    const int64_t row = int64_t(s.inner) + gap;
    shape = {int64_t(s.outer), int64_t(s.n), int64_t(s.inner), row * int64_t(s.n) + 3, row};
    size = s.outer == 0 || s.n == 0 ? 0
                                    : size_t(int64_t(s.outer - 1) * shape.outer_stride +
                                             int64_t(s.n - 1) * row + int64_t(s.inner));
  }
  size_t at(size_t o, size_t i, size_t c) const {
    return o * size_t(shape.outer_stride) + i * size_t(shape.row_stride) + c;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("reductions agree with their reference", "[reduce]", float, double) {
  using T = TestType;
  const double epsilon = double(std::numeric_limits<T>::epsilon());
  for (size_t run = 0; run < 2 * sizes.size(); ++run) {
    const Size& s = sizes[run / 2];
    const View view(s, run % 2 ? 2 : 0);
    Guarded<T> x(view.size);
    std::mt19937 random(unsigned(s.n));
    std::normal_distribution<double> normal(0.5, 2);
    for (size_t i = 0; i < view.size; ++i) x[i] = T(normal(random));
    const size_t outs = s.outer * s.inner;
    Guarded<T> sum(outs), squares(outs), largest(outs), least(outs), lse(outs), again(outs);
    Guarded<int32_t> place(outs);
    reduce<T>(Reduction::sum, view.shape, x.data(), sum.data());
    reduce<T>(Reduction::sum_of_squares, view.shape, x.data(), squares.data());
    reduce<T>(Reduction::max, view.shape, x.data(), largest.data());
    reduce<T>(Reduction::min, view.shape, x.data(), least.data());
    reduce<T>(Reduction::logsumexp, view.shape, x.data(), lse.data());
    reduce<T>(Reduction::argmax, view.shape, x.data(), place.data());
    for (size_t o = 0; o < s.outer; ++o) {
      for (size_t c = 0; c < s.inner; ++c) {
        const auto r = reference::reduce(
            int64_t(s.n), x.data() + (view.size ? view.at(o, 0, c) : 0), view.shape.row_stride);
        const size_t k = o * s.inner + c;
        INFO(s.outer << " x " << s.n << " x " << s.inner << ", at " << o << ", " << c);
        // Sums of a few hundred terms in a row at most, then a tree: errors grow with the root.
        REQUIRE(std::fabs(double(sum[k]) - r.sum) <= 16 * epsilon * r.absolute);
        REQUIRE(std::fabs(double(squares[k]) - r.sum_of_squares) <=
                16 * epsilon * r.sum_of_squares);
        REQUIRE(double(largest[k]) == r.max);
        REQUIRE(double(least[k]) == r.min);
        REQUIRE(place[k] == r.argmax);
        if (s.n == 0) {
          REQUIRE(double(lse[k]) == r.logsumexp);
        } else {
          REQUIRE(std::fabs(double(lse[k]) - r.logsumexp) <=
                  16 * epsilon * (1 + std::fabs(r.logsumexp)));
        }
      }
    }
    for (Reduction r : {Reduction::sum, Reduction::logsumexp}) {
      reduce<T>(r, view.shape, x.data(), again.data(), true);
      const T* first = r == Reduction::sum ? sum.data() : lse.data();
      REQUIRE((outs == 0 || std::memcmp(again.data(), first, outs * sizeof(T)) == 0));
    }
  }
}

TEST_CASE("long sums do not drift", "[reduce]") {
  // One after the other, 0.1f a million times ends 1% off. Here a term passes through some 100
  // additions; that their roundings agree in sign is the worst case, and 4e-6 still under it.
  const size_t n = 1000000;
  const std::vector<float> x(n, 0.1f);
  const double exact = double(0.1f) * double(n);
  float sum = 0;
  reduce<float>(Reduction::sum, {1, int64_t(n), 1, 0, 1}, x.data(), &sum);
  CHECK(std::fabs(double(sum) - exact) < 4e-6 * exact);
  float column[2];
  reduce<float>(Reduction::sum, {1, int64_t(n / 2), 2, 0, 2}, x.data(), column);
  CHECK(std::fabs(double(column[1]) - exact / 2) < 4e-6 * exact);
}

TEST_CASE("NaN and infinities in reductions", "[reduce]") {
  const float inf = std::numeric_limits<float>::infinity();
  const float bad = std::numeric_limits<float>::quiet_NaN();
  for (int64_t inner : {1, 5}) {
    for (int64_t n : {3, 40, 70000}) {
      for (int64_t at : {int64_t(0), n / 2, n - 1}) {
        const ReduceShape shape{1, n, inner, 0, inner};
        std::vector<float> x(size_t(n * inner), 1.f), y(static_cast<size_t>(inner));
        std::vector<int32_t> place(static_cast<size_t>(inner));
        const size_t k = size_t(at * inner);
        const auto run = [&](Reduction r) {
          reduce<float>(r, shape, x.data(), y.data());
          return y[0];
        };
        x[k] = bad;
        if (inner > 1) x[k + 1] = 3;
        CHECK(std::isnan(run(Reduction::max)));
        CHECK(std::isnan(run(Reduction::min)));
        CHECK(std::isnan(run(Reduction::sum)));
        CHECK(std::isnan(run(Reduction::logsumexp)));
        reduce<float>(Reduction::argmax, shape, x.data(), place.data());
        CHECK(place[0] == at);
        if (inner > 1) {
          CHECK(place[1] == at);
          CHECK(y[1] == Approx(std::log(double(n - 1) * std::exp(1.0) + std::exp(3.0))));
        }
        x[k] = inf;
        CHECK(run(Reduction::max) == inf);
        CHECK(run(Reduction::logsumexp) == inf);
        x[k] = -inf;
        CHECK(run(Reduction::logsumexp) == Approx(1 + std::log(double(n - 1))));
        x.assign(x.size(), -inf);
        CHECK(run(Reduction::logsumexp) == -inf);
        x[k] = -500;
        CHECK(run(Reduction::logsumexp) == Approx(-500));
      }
    }
  }
}

TEMPLATE_TEST_CASE("cumulative sums, both ways", "[reduce]", float, double) {
  using T = TestType;
  for (const Size& s : sizes) {
    const View view(s);
    Guarded<T> x(view.size);
    std::mt19937 random(5);
    for (size_t i = 0; i < view.size; ++i) x[i] = T(int(random() % 9) - 4);  // sums are exact
    for (bool reversed : {false, true}) {
      Guarded<T> y(s.outer * s.n * s.inner);
      const int64_t tasks = kernels<ReduceKernels>().cumsum_tasks(view.shape);
      for (int64_t t = tasks - 1; t >= 0; --t) {
        functions<T>().cumsum(view.shape, x.data(), y.data(), reversed, t);
      }
      for (size_t o = 0; o < s.outer; ++o) {
        for (size_t c = 0; c < s.inner; ++c) {
          std::vector<double> want(s.n);
          reference::cumsum(int64_t(s.n), x.data() + (view.size ? view.at(o, 0, c) : 0),
                            view.shape.row_stride, reversed, want.data());
          for (size_t k = 0; k < s.n; ++k) {
            REQUIRE(double(y[(o * s.n + k) * s.inner + c]) == want[k]);
          }
        }
      }
    }
  }
  std::vector<T> x{1, 2, 3, 4};
  functions<T>().cumsum({1, 2, 2, 4, 2}, x.data(), x.data(), false, 0);
  CHECK(x == std::vector<T>{1, 2, 4, 6});
}

namespace {

template <class E>
void check_copy(const std::vector<int64_t>& shape, const std::vector<int64_t>& from_strides,
                const std::vector<int64_t>& to_strides) {
  const size_t dims = shape.size();
  int64_t from_low = 0, from_high = 0, to_low = 0, to_high = 0, size = 1;
  for (size_t d = 0; d < dims; ++d) {
    const int64_t f = (shape[d] - 1) * from_strides[d], t = (shape[d] - 1) * to_strides[d];
    (f < 0 ? from_low : from_high) += f;
    (t < 0 ? to_low : to_high) += t;
    size *= shape[d];
  }
  if (size == 0) from_high = from_low = to_high = to_low = 0;
  Guarded<E> from(size_t(from_high - from_low + 1)), to(size_t(to_high - to_low + 1));
  for (int64_t i = 0; i < from.size(); ++i) from[i] = E(i * 7 + 1);
  std::vector<E> want = to.values();
  const CopyPlan p = kernels<CopyKernels>().plan(int(sizeof(E)), int(dims), shape.data(),
                                                 from_strides.data(), to_strides.data());
  for (int64_t t = p.tasks - 1; t >= 0; --t) {
    kernels<CopyKernels>().run(p, from.data() - from_low, to.data() - to_low, t);
  }
  reference::copy(
      int(dims), shape.data(), from_strides.data(), to_strides.data(),
      [&](int64_t f, int64_t t) { want[size_t(t - to_low)] = from[size_t(f - from_low)]; });
  // What lies between the elements of `to` stays untouched.
  REQUIRE(std::memcmp(to.data(), want.data(), want.size() * sizeof(E)) == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("strided copies", "[copy]", uint8_t, uint32_t, uint64_t) {
  using E = TestType;
  check_copy<E>({}, {}, {});
  check_copy<E>({1}, {5}, {9});
  check_copy<E>({0, 3}, {3, 1}, {3, 1});
  check_copy<E>({100000}, {1}, {1});
  check_copy<E>({1000}, {-1}, {1});
  check_copy<E>({1000}, {0}, {1});
  check_copy<E>({50, 3}, {0, 1}, {3, 1});
  check_copy<E>({50, 3}, {1, 0}, {3, 1});
  check_copy<E>({77, 33}, {40, 1}, {33, 1});  // rows with gaps
  check_copy<E>({77, 33}, {33, 1}, {80, 2});  // into gaps
  check_copy<E>({33, 77}, {1, 33}, {77, 1});  // transposes
  check_copy<E>({17, 1, 65}, {1, 3, 17}, {65, 65, 1});
  check_copy<E>({300, 400}, {1, 300}, {400, 1});
  check_copy<E>({300, 400}, {400, 1}, {1, 300});
  check_copy<E>({3, 33, 77}, {2541, 1, 33}, {2541, 77, 1});
  check_copy<E>({4, 5, 6, 7}, {210, 7, 35, 1}, {210, 42, 7, 1});  // heads and time change places
  check_copy<E>({4, 5, 6, 7}, {1, 4, 20, 120}, {210, 42, 7, 1});
  check_copy<E>({2, 3, 2, 3, 2, 3, 2, 3}, {1, 2, 6, 12, 36, 72, 216, 432},
                {648, 216, 108, 36, 18, 6, 3, 1});
  check_copy<E>({5, 6}, {-6, -1}, {6, 1});
  check_copy<E>({20, 30}, {-1, 20}, {30, 1});
}
