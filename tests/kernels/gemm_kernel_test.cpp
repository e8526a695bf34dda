// The matrix product against its reference.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "ops/kernels/gemm/gemm.hpp"
#include "ops/kernels/gemm/reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using namespace rapt::kernels;

namespace {

using rapt::Activation;

// What no one writes is NaN.
template <class T>
class Guarded : public rapt::test::Guarded<T> {
 public:
  explicit Guarded(int64_t n) : rapt::test::Guarded<T>(n) {
    std::fill(this->data(), this->data() + n, std::numeric_limits<T>::quiet_NaN());
  }
};

// Numbers between -1 and 1 that differ everywhere.
double number(int64_t seed, int64_t i) {
  auto x =
      static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(seed) * 0xbf58476d;
  x = (x ^ (x >> 31)) * 0x94d049bb133111ebu;
  return static_cast<double>((x ^ (x >> 29)) >> 11) / 4503599627370496.0 - 1.0;
}

struct Case {
  int64_t m, n, k;
  bool a_transposed = false, b_transposed = false;
  int64_t a_gap = 1, b_gap = 1;  // The smaller stride: 1, or more for neither rows nor columns.
  int64_t pad = 0;               // Between the rows of A, B and C.
  double alpha = 1, beta = 0;
  bool bias = false;
  Activation activation = Activation::none;
  int64_t batch = 1;
  bool share_a = false, share_b = false;
};

std::string describe(const Case& t) {
  return "m=" + std::to_string(t.m) + " n=" + std::to_string(t.n) + " k=" + std::to_string(t.k) +
         (t.a_transposed ? " T" : " N") + (t.b_transposed ? "T" : "N") +
         " gaps=" + std::to_string(t.a_gap) + "," + std::to_string(t.b_gap) +
         " pad=" + std::to_string(t.pad) + " alpha=" + std::to_string(t.alpha) +
         " beta=" + std::to_string(t.beta) + " bias=" + std::to_string(t.bias) +
         " activation=" + std::to_string(static_cast<int>(t.activation)) +
         " batch=" + std::to_string(t.batch) + (t.share_a ? " one A" : "") +
         (t.share_b ? " one B" : "");
}

// Elements from the first to just past the last of a matrix.
int64_t extent(int64_t rows, int64_t columns, int64_t row, int64_t column) {
  return rows == 0 || columns == 0 ? 0 : (rows - 1) * row + (columns - 1) * column + 1;
}

/// A copy of B made beforehand gives the same bits, in c, as one made on the way.
template <class T>
void check_packed(Gemm<T> g, const Guarded<T>& c, const Guarded<T>& given, int64_t size) {
  const auto& kernel = kernels_for<GemmTable, T>();
  const int64_t count = kernel.packed_size(g);
  const bool packs = plan_gemm(g).form == GemmPlan::Form::packed;
  if (g.batch == 1 && g.n > 1) {
    CHECK((count > 0) == packs);
  } else {
    CHECK((count == 0 || packs));
  }
  if (count == 0) return;
  Guarded<T> packed(count), again(size);
  for (int64_t at = 0; at < size; ++at) again[at] = given[at];
  for (int64_t part = kernel.pack_parts(g); part-- > 0;) {
    kernel.pack(g, packed.data(), part, part + 1);
  }
  g.b = packed.data();
  g.b_packed = true;
  g.b_row = g.b_col = 0;
  g.c = again.data();
  Guarded<T> scratch(static_cast<int64_t>(plan_gemm(g).scratch_bytes / sizeof(T)));
  gemm(g, scratch.data());
  bool same = true;
  for (int64_t at = 0; at < size; ++at) {
    same = same && (again[at] == c[at] || (std::isnan(again[at]) && std::isnan(c[at])));
  }
  REQUIRE(same);
}

template <class T>
void check(const Case& t) {
  INFO(describe(t));
  Gemm<T> g;
  g.m = t.m, g.n = t.n, g.k = t.k;
  g.a_row = t.a_transposed ? t.a_gap : t.k * t.a_gap + t.pad;
  g.a_col = t.a_transposed ? t.m * t.a_gap + t.pad : t.a_gap;
  g.b_row = t.b_transposed ? t.b_gap : t.n * t.b_gap + t.pad;
  g.b_col = t.b_transposed ? t.k * t.b_gap + t.pad : t.b_gap;
  g.c_row = t.n + t.pad;
  g.alpha = static_cast<T>(t.alpha), g.beta = static_cast<T>(t.beta);
  g.activation = t.activation;
  g.batch = t.batch;
  const int64_t a_size = extent(t.m, t.k, g.a_row, g.a_col);
  const int64_t b_size = extent(t.k, t.n, g.b_row, g.b_col);
  const int64_t c_size = extent(t.m, t.n, g.c_row, 1);
  g.a_batch = t.share_a ? 0 : a_size;
  g.b_batch = t.share_b ? 0 : b_size;
  g.c_batch = t.pad == 0 ? t.m * t.n : c_size;

  // What no one should read, the gaps, are NaN.
  Guarded<T> a(a_size + (t.batch - 1) * g.a_batch), b(b_size + (t.batch - 1) * g.b_batch);
  Guarded<T> c(c_size + (t.batch - 1) * g.c_batch), bias(t.n);
  Guarded<T> given(c_size + (t.batch - 1) * g.c_batch);
  for (int64_t item = 0; item < t.batch; ++item) {
    for (int64_t i = 0; i < t.m; ++i) {
      for (int64_t p = 0; p < t.k; ++p) {
        const int64_t at = item * g.a_batch + i * g.a_row + p * g.a_col;
        a[at] = static_cast<T>(number(1, at));
      }
    }
    for (int64_t p = 0; p < t.k; ++p) {
      for (int64_t j = 0; j < t.n; ++j) {
        const int64_t at = item * g.b_batch + p * g.b_row + j * g.b_col;
        b[at] = static_cast<T>(number(2, at));
      }
    }
    if (t.beta == 0) continue;
    for (int64_t i = 0; i < t.m; ++i) {
      for (int64_t j = 0; j < t.n; ++j) {
        const int64_t at = item * g.c_batch + i * g.c_row + j;
        c[at] = given[at] = static_cast<T>(number(3, at));
      }
    }
  }
  for (int64_t j = 0; j < t.n; ++j) bias[j] = static_cast<T>(number(4, j));
  g.a = a.data(), g.b = b.data(), g.c = c.data();
  g.bias = t.bias ? bias.data() : nullptr;

  const GemmPlan plan = plan_gemm(g);
  Guarded<T> scratch(static_cast<int64_t>(plan.scratch_bytes / sizeof(T)));
  gemm(g, scratch.data());

  // A sum of k products of numbers below 1 with random signs is near sqrt(k), and so is the number
  // of its k roundings that do not cancel: k units. Activations add a few in the last place;
  // gelu in double more, as the error function there is good to 8e-15.
  const double unit = std::numeric_limits<T>::epsilon();
  const double extra = t.activation == Activation::gelu ? 2e-14 : 0;
  const double tolerance = extra + unit * (8 + 2 * static_cast<double>(t.k)) *
                                       std::max(1.0, std::abs(t.alpha) + std::abs(t.beta));
  double worst = 0;
  Gemm<T> before = g;
  before.c = given.data();
  for (int64_t item = 0; item < t.batch; ++item) {
    for (int64_t i = 0; i < t.m; ++i) {
      for (int64_t j = 0; j < t.n; ++j) {
        const int64_t at = item * g.c_batch + i * g.c_row + j;
        const double want = reference::gemm(before, item, i, j);
        const double error = std::abs(static_cast<double>(c[at]) - want);
        worst =
            std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(worst, error);
      }
      // Between the rows nothing was written.
      for (int64_t j = t.n; t.n > 0 && i + 1 < t.m && j < g.c_row; ++j) {
        REQUIRE(std::isnan(c[item * g.c_batch + i * g.c_row + j]));
      }
    }
  }
  REQUIRE(worst <= tolerance);
  check_packed(g, c, given, c_size + (t.batch - 1) * g.c_batch);
  if (t.activation != Activation::none) return;

  // A residual gives the bits of an addition afterwards.
  const int64_t c_all = c_size + (t.batch - 1) * g.c_batch;
  Guarded<T> residual(c_all), again(c_all);
  for (int64_t at = 0; at < c_all; ++at) {
    if (std::isnan(c[at])) continue;
    residual[at] = static_cast<T>(number(5, at));
    again[at] = given[at];
  }
  g.c = again.data();
  g.residual = residual.data();
  gemm(g, scratch.data());
  bool same = true;
  for (int64_t at = 0; at < c_all; ++at) {
    same = same && (std::isnan(c[at]) ? std::isnan(again[at]) : again[at] == c[at] + residual[at]);
  }
  REQUIRE(same);
}

const int64_t sizes[] = {0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129};

}  // namespace

TEMPLATE_TEST_CASE("gemm: all sizes and transpositions", "[gemm]", float, double) {
  for (const int64_t m : sizes) {
    for (const int64_t n : sizes) {
      // Two inner sizes for each pair, so that all three are mixed.
      for (const int64_t k : {sizes[static_cast<size_t>(3 * m + 5 * n) % 17],
                              sizes[static_cast<size_t>(7 * m + n + 4) % 17]}) {
        for (const bool a_transposed : {false, true}) {
          for (const bool b_transposed : {false, true}) {
            check<TestType>({.m = m,
                             .n = n,
                             .k = k,
                             .a_transposed = a_transposed,
                             .b_transposed = b_transposed,
                             .pad = m % 3});
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("gemm: register tiles of every height and width", "[gemm]", float, double) {
  for (int64_t m = 1; m <= 29; ++m) {
    for (const int64_t n : {6, 12, 16, 27, 32, 40, 48, 61, 64, 77, 96, 126, 128}) {
      for (const bool a_transposed : {false, true}) {
        check<TestType>({.m = m, .n = n, .k = 4 + m % 4, .a_transposed = a_transposed});
      }
    }
  }
}

TEMPLATE_TEST_CASE("gemm: strides that are 1 in no direction", "[gemm]", float, double) {
  for (const int64_t m : {1, 5, 33}) {
    for (const int64_t n : {1, 4, 37}) {
      for (const int64_t k : {1, 6, 300}) {
        for (const int64_t gap : {2, 3}) {
          for (const bool transposed : {false, true}) {
            Case t{.m = m, .n = n, .k = k, .a_transposed = transposed, .b_transposed = transposed};
            t.a_gap = gap;
            check<TestType>(t);
            t.b_gap = gap;
            check<TestType>(t);
            t.a_gap = 1;
            check<TestType>(t);
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("gemm: strides of 0 repeat a row or a column", "[gemm]", float, double) {
  const int64_t m = 9, n = 21, k = 30;
  std::vector<TestType> a(k), b(n), c(m * n), scratch;
  for (int64_t p = 0; p < k; ++p) a[static_cast<size_t>(p)] = TestType(number(1, p));
  for (int64_t j = 0; j < n; ++j) b[static_cast<size_t>(j)] = TestType(number(2, j));
  Gemm<TestType> g;
  g.m = m, g.n = n, g.k = k, g.a = a.data(), g.b = b.data(), g.c = c.data();
  g.a_row = 0, g.a_col = 1, g.b_row = 0, g.b_col = 1, g.c_row = n;
  scratch.resize(plan_gemm(g).scratch_bytes / sizeof(TestType));
  gemm(g, scratch.data());
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      REQUIRE(double(c[size_t(i * n + j)]) == Approx(reference::gemm(g, 0, i, j)).epsilon(1e-4));
    }
  }
}

TEMPLATE_TEST_CASE("gemm: alpha, beta, bias and activations", "[gemm]", float, double) {
  using enum Activation;
  for (const Activation activation : {none, relu, gelu, tanh, sigmoid, silu}) {
    for (const double alpha : {1.0, -0.75}) {
      for (const double beta : {0.0, 1.0, 0.5}) {
        for (const bool bias : {false, true}) {
          // Tiles in one and in two blocks of k, dot products, packed ones, a lone column.
          for (const auto& [m, n, k] : {std::tuple{13, 39, 20},
                                        {7, 70, 600},
                                        {3, 37, 50},
                                        {40, 3, 50},
                                        {30, 1, 40},
                                        {5, 9, 0}}) {
            for (const bool b_transposed : {false, true}) {
              check<TestType>({.m = m,
                               .n = n,
                               .k = k,
                               .b_transposed = b_transposed,
                               .alpha = alpha,
                               .beta = beta,
                               .bias = bias,
                               .activation = activation});
            }
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("gemm: last columns that fill half of a vector, or less", "[gemm]", float,
                   double) {
  for (const int64_t m : {8, 9, 50, 100}) {
    for (const int64_t n : {5, 9, 10, 17, 18, 19, 20, 33, 36, 100, 129}) {
      for (const int64_t k : {64, 71, 300}) {
        for (const int kind : {0, 1, 2, 3}) {
          Case t{.m = m,
                 .n = n,
                 .k = k,
                 .a_transposed = kind % 2 != 0,
                 .b_transposed = kind > 1,
                 .pad = m % 2};
          check<TestType>(t);
          t.alpha = 0.5;
          t.beta = 0.75;
          t.bias = true;
          t.activation = Activation::relu;
          t.batch = 2;
          check<TestType>(t);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("gemm: long dot products are added up in pieces", "[gemm]", float, double) {
  using T = TestType;
  for (const int64_t k : {2049, 4096, 8192, 8193, 20000}) {
    for (const int64_t m : {1, 3, 17}) {
      check<T>({.m = m, .n = 1, .k = k, .b_transposed = true});
      check<T>(
          {.m = m, .n = 3, .k = k, .b_transposed = true, .alpha = 0.5, .beta = -2, .bias = true});
      check<T>({.m = m,
                .n = 9,
                .k = k,
                .b_transposed = true,
                .bias = true,
                .activation = Activation::tanh});
    }
  }
}

TEMPLATE_TEST_CASE("gemm: batches, with items shared", "[gemm]", float, double) {
  for (const int64_t batch : {2, 5, 70}) {
    for (const auto& [m, n, k] : {std::tuple{1, 20, 18}, {6, 17, 33}, {64, 64, 32}, {33, 1, 40}}) {
      for (const bool share_a : {false, true}) {
        for (const bool share_b : {false, true}) {
          for (const int64_t pad : {0, 2}) {
            check<TestType>({.m = m,
                             .n = n,
                             .k = k,
                             .b_transposed = pad == 2,
                             .pad = pad,
                             .bias = true,
                             .batch = batch,
                             .share_a = share_a,
                             .share_b = share_b});
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("gemm: large ones, cut into many tasks", "[gemm]", float, double) {
  for (const bool a_transposed : {false, true}) {
    for (const bool b_transposed : {false, true}) {
      for (const auto& [m, n, k] : {std::tuple{300, 1030, 70},
                                    {4, 2100, 700},
                                    {900, 70, 330},
                                    {1, 3000, 1000},
                                    {2000, 2, 600},
                                    {131, 517, 1025}}) {
        check<TestType>({.m = m,
                         .n = n,
                         .k = k,
                         .a_transposed = a_transposed,
                         .b_transposed = b_transposed,
                         .bias = true,
                         .activation = Activation::relu});
      }
      check<TestType>({.m = 130,
                       .n = 260,
                       .k = 90,
                       .a_transposed = a_transposed,
                       .b_transposed = b_transposed,
                       .batch = 3});
    }
  }
}

TEMPLATE_TEST_CASE("gemm: the order of tasks changes no bit", "[gemm]", float, double) {
  for (const auto& [a_transposed, transposed] :
       {std::pair{false, false}, {false, true}, {true, false}}) {
    for (const auto& [m, n, k, batch] : {std::tuple{200, 330, 300, 1},
                                         {700, 1200, 65, 1},
                                         {2, 4000, 900, 1},
                                         {6000, 3, 300, 1},
                                         {96, 80, 64, 40},
                                         {20, 20, 20, 1000}}) {
      Gemm<TestType> g;
      g.m = m, g.n = n, g.k = k, g.batch = batch;
      g.a_row = a_transposed ? 1 : k, g.a_col = a_transposed ? m : 1;
      g.a_batch = m * k, g.c_row = n, g.c_batch = m * n, g.b_batch = k * n;
      g.b_row = transposed ? 1 : n, g.b_col = transposed ? k : 1;
      g.activation = Activation::tanh;
      const auto elements = [](int64_t count, int64_t seed) {
        std::vector<TestType> x(static_cast<size_t>(count));
        for (size_t i = 0; i < x.size(); ++i) x[i] = TestType(number(seed, int64_t(i)));
        return x;
      };
      const auto a = elements(g.a_batch * batch, 1), b = elements(g.b_batch * batch, 2);
      std::vector<TestType> forward(size_t(g.c_batch * batch)), backward(forward.size());
      g.a = a.data(), g.b = b.data(), g.c = forward.data();
      const GemmPlan plan = plan_gemm(g);
      REQUIRE(plan.tasks > 1);
      // Scratch may hold anything, and each task may have its own.
      std::vector<TestType> scratch(plan.scratch_bytes / sizeof(TestType), TestType(1e30));
      gemm(g, scratch.data());
      g.c = backward.data();
      for (int64_t task = plan.tasks; task-- > 0;) {
        std::fill(scratch.begin(), scratch.end(), std::numeric_limits<TestType>::quiet_NaN());
        run_gemm(g, plan, scratch.data(), task, task + 1);
      }
      REQUIRE(std::memcmp(forward.data(), backward.data(), forward.size() * sizeof(TestType)) == 0);
      // A residual is added in the task that makes the element: all again, without the activation.
      g.activation = Activation::none;
      g.c = forward.data();
      gemm(g, scratch.data());
      const auto residual = elements(g.c_batch * batch, 3);
      for (size_t i = 0; i < forward.size(); ++i) forward[i] += residual[i];
      g.residual = residual.data();
      g.c = backward.data();
      for (int64_t task = plan.tasks; task-- > 0;) {
        run_gemm(g, plan, scratch.data(), task, task + 1);
      }
      REQUIRE(std::memcmp(forward.data(), backward.data(), forward.size() * sizeof(TestType)) == 0);
      // Nor does how many are run by one call.
      for (const int64_t step : {2, 3, 5, 7}) {
        std::fill(backward.begin(), backward.end(), std::numeric_limits<TestType>::quiet_NaN());
        for (int64_t task = 0; task < plan.tasks; task += step) {
          run_gemm(g, plan, scratch.data(), task, std::min(task + step, plan.tasks));
        }
        REQUIRE(std::memcmp(forward.data(), backward.data(), forward.size() * sizeof(TestType)) ==
                0);
      }
    }
  }
}

TEMPLATE_TEST_CASE("gemm: a NaN or an infinity of A or B reaches its row or column only", "[gemm]",
                   float, double) {
  for (const bool b_transposed : {false, true}) {
    for (const int64_t m : {3, 40}) {
      const int64_t n = 37, k = 21;
      std::vector<TestType> a(size_t(m * k), TestType(1)), b(size_t(n * k), TestType(1));
      std::vector<TestType> c(size_t(m * n));
      Gemm<TestType> g;
      g.m = m, g.n = n, g.k = k, g.a = a.data(), g.b = b.data(), g.c = c.data();
      g.a_row = k, g.c_row = n;
      g.b_row = b_transposed ? 1 : n, g.b_col = b_transposed ? k : 1;
      a[size_t(2 * k + 20)] = std::numeric_limits<TestType>::quiet_NaN();
      b[size_t(b_transposed ? 36 * k + 20 : 20 * n + 36)] =
          std::numeric_limits<TestType>::infinity();
      std::vector<TestType> scratch(plan_gemm(g).scratch_bytes / sizeof(TestType));
      gemm(g, scratch.data());
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const TestType x = c[size_t(i * n + j)];
          if (i == 2) {
            REQUIRE(std::isnan(x));
          } else if (j == 36) {
            REQUIRE(std::isinf(x));
          } else {
            REQUIRE(x == TestType(k));
          }
        }
      }
    }
  }
}
