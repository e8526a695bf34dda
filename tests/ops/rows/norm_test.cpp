// Normalisation: errors, rows far from 0, rows of any magnitude, and large arrays.
#include "ops/rows/norm.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {

using Catch::Matchers::Contains;

TEST_CASE("norms say what does not fit") {
  Tape tape;
  const Tensor x = zeros({2, 3, 5}), five = zeros({5}), four = zeros({4});
  CHECK_THROWS_WITH(layer_norm(x, four, five),
                    Contains("layer_norm: expected x [.., C] and a weight [C], got [2, 3, 5] and "
                             "[4]; at norm_test.cpp:"));
  CHECK_THROWS_WITH(layer_norm(x, five, four),
                    Contains("layer_norm: expected x [.., C] and a bias [C], got [2, 3, 5] and "
                             "[4]"));
  CHECK_THROWS_WITH(rms_norm(x, zeros({1, 5})), Contains("rms_norm: expected x [.., C]"));
  CHECK_THROWS_WITH(rms_norm(zeros({}), five), Contains("rms_norm: a scalar has no last axis"));
  CHECK_THROWS_WITH(rms_norm(x, zeros({5}, DType::float64)),
                    Contains("rms_norm: expected operands of one float type, got float32 and "
                             "float64"));
}

TEST_CASE("rows far from 0 keep their digits") {
  Tape tape;
  const Tensor x = tensor(std::vector<float>{10000, 10001, 10002, 10003}, {1, 4});
  const std::vector<double> y =
      layer_norm(x, full({4}, 1), zeros({4}), 0).value().to_vector<double>();
  for (size_t i = 0; i < 4; ++i) {
    CHECK(y[i] == Approx((static_cast<double>(i) - 1.5) / std::sqrt(1.25)).epsilon(1e-6));
  }
}

TEST_CASE("a constant row is all bias, and has no gradient but through it") {
  Tape tape;
  const Var x = as_var(full({2, 8}, 3));
  const Var y = layer_norm(x, full({8}, 2), full({8}, 7));
  CHECK(y.value().to_vector<double>() == std::vector<double>(16, 7));
  const Var g = grad(sum(y), {x})[0];
  for (const double v : g.value().to_vector<double>()) CHECK(std::abs(v) < 1e-3);
}

TEST_CASE("many rows, the same on any number of threads, with sums over all of them") {
  constexpr int64_t rows = 5000, width = 40;  // more rows than blocks of 16
  const Tensor x = uniform(Key{1}, {rows, width}, -2, 2, DType::float64);
  const Tensor weight = uniform(Key{2}, {width}, -2, 2, DType::float64);
  const Tensor seed = uniform(Key{3}, {rows, width}, -1, 1, DType::float64);
  const bool centred = GENERATE(true, false);
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 2, 8}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const Var in = as_var(x), w = as_var(weight);
    const Var b = as_var(zeros({width}, DType::float64));
    const Var y = centred ? layer_norm(in, w, b) : rms_norm(in, w);
    const std::vector<Var> g = grad(sum(y * seed), {in, w, b});
    Executor::current().run(g);
    results.emplace_back();
    for (const Var& var : g) {
      for (const double v : var.value().to_vector<double>()) results.back().push_back(v);
    }
  }
  // In parentheses: a difference should not print all values.
  CHECK((results[0] == results[1]));
  CHECK((results[0] == results[2]));

  std::vector<double> dweight(width, 0), dbias(width, 0);
  const std::span<const double> in = x.data<double>(), g = seed.data<double>();
  for (size_t r = 0; r < rows; ++r) {
    double mean = 0, squares = 0;
    for (size_t j = 0; centred && j < width; ++j) mean += in[r * width + j] / width;
    for (size_t j = 0; j < width; ++j) squares += std::pow(in[r * width + j] - mean, 2) / width;
    for (size_t j = 0; j < width; ++j) {
      dweight[j] += g[r * width + j] * (in[r * width + j] - mean) / std::sqrt(squares + 1e-5);
      dbias[j] += g[r * width + j];
    }
  }
  const double* given = results[0].data() + rows * width;
  for (size_t j = 0; j < width; ++j) {
    CHECK(given[j] == Approx(dweight[j]).epsilon(1e-10));
    if (centred) CHECK(given[width + j] == Approx(dbias[j]).epsilon(1e-10));
  }
}

namespace {

/// Rows of both norms and their gradients by the formulas, in long double.
struct NormReference {
  std::vector<long double> y, dx, dweight, dbias;

  template <class T>
  NormReference(const std::vector<T>& x, const std::vector<T>& weight, const std::vector<T>& bias,
                const std::vector<T>& dy, double eps, bool centred) {
    const size_t n = weight.size();
    const auto count = static_cast<long double>(n);
    dweight.assign(n, 0);
    dbias.assign(n, 0);
    for (size_t r = 0; r < x.size(); r += n) {
      long double mean = 0, variance = 0, of_h = 0, of_hx = 0;
      for (size_t j = 0; centred && j < n; ++j) mean += x[r + j] / count;
      for (size_t j = 0; j < n; ++j) variance += (x[r + j] - mean) * (x[r + j] - mean) / count;
      const long double rstd = 1 / std::sqrt(variance + static_cast<long double>(T(eps)));
      for (size_t j = 0; j < n; ++j) {
        const long double xhat = (x[r + j] - mean) * rstd, h = dy[r + j] * weight[j];
        y.push_back(xhat * weight[j] + (centred ? bias[j] : T(0)));
        dweight[j] += dy[r + j] * xhat;
        dbias[j] += dy[r + j];
        of_h += centred ? h / count : 0;
        of_hx += h * xhat / count;
      }
      for (size_t j = 0; j < n; ++j) {
        const long double xhat = (x[r + j] - mean) * rstd;
        dx.push_back(rstd * (dy[r + j] * weight[j] - of_h - xhat * of_hx));
      }
    }
  }
};

/// The largest difference, in units of the largest right value.
template <class T>
double relative(const Var& got, const std::vector<long double>& want) {
  const std::vector<T> x = got.value().to_vector<T>();
  REQUIRE(x.size() == want.size());
  long double off = 0, size = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i])) return std::numeric_limits<double>::infinity();
    off = std::max(off, std::fabs(x[i] - want[i]));
    size = std::max(size, std::fabs(want[i]));
  }
  return static_cast<double>(off / size);
}

}  // namespace

TEMPLATE_TEST_CASE("rows of any magnitude, in value and gradients", "", float, double) {
  using T = TestType;
  const bool is_float = sizeof(T) == 4;
  const double largest = static_cast<double>(std::numeric_limits<T>::max());
  const std::vector<double> scales =
      is_float
          ? std::vector<double>{1e-37, 1e-30, 1e-20, 1e-15, 1e-6, 1, 1e6, 1e17, 1e19, 1e20, 1e30}
          : std::vector<double>{1e-305, 1e-200, 1e-160, 1e-20, 1, 1e20, 1e153, 1e155, 1e200, 1e300};
  // The statistics are kept in T, and are denormal for rows as large as T holds.
  const double tolerance = is_float ? 4e-6 : 1e-13;
  for (const int64_t n : {2, 5, 64, 103, 20000}) {
    for (double scale : scales) {
      for (const bool to_the_top : {false, true}) {
        if (to_the_top && scale != 1) continue;
        if (to_the_top) scale = largest;
        for (const double eps : {0., 1e-5}) {
          const auto size = static_cast<size_t>(n);
          std::vector<T> x, weight, bias, dy;
          for (size_t i = 0; i < 3 * size; ++i) {
            const double wave = std::sin(1.3 * static_cast<double>(i) + 0.4);
            x.push_back(static_cast<T>(scale * (0.7 * wave + 0.2)));
            dy.push_back(static_cast<T>(std::cos(0.9 * static_cast<double>(i))));
          }
          if (to_the_top) x[0] = std::numeric_limits<T>::max(), x[1] = -x[0];
          for (size_t j = 0; j < size; ++j) {
            weight.push_back(static_cast<T>(1 + 0.3 * std::sin(static_cast<double>(j))));
            bias.push_back(static_cast<T>(0.1 * std::cos(static_cast<double>(j))));
          }
          for (const bool centred : {true, false}) {
            INFO("width " << n << ", scale " << scale << ", eps " << eps << ", centred "
                          << centred);
            Tape tape;
            const Var a = as_var(tensor(x, {3, n})), g = as_var(tensor(weight, {n}));
            const Var b = as_var(tensor(bias, {n}));
            const Var y = centred ? layer_norm(a, g, b, eps) : rms_norm(a, g, eps);
            const Var loss = sum(y * as_var(tensor(dy, {3, n})));
            const std::vector<Var> grads = grad(loss, {a, g, b});
            const NormReference right(x, weight, bias, dy, eps, centred);
            CHECK(relative<T>(y, right.y) < tolerance);
            CHECK(relative<T>(grads[1], right.dweight) < tolerance);
            if (centred) CHECK(relative<T>(grads[2], right.dbias) < tolerance);
            // Of two elements, dx is a difference of almost equal numbers.
            if (n > 2) CHECK(relative<T>(grads[0], right.dx) < 4 * tolerance);
          }
        }
      }
    }
  }
}

TEST_CASE("wide rows and many of them keep the digits of their sums") {
  // Added one by one in float, a million numbers that are all alike are 1e-2 off.
  const int64_t n = 1 << 20;
  std::vector<float> x(static_cast<size_t>(n));
  for (size_t i = 0; i < x.size(); ++i) x[i] = i % 2 == 0 ? 0.1f : 1.1f;
  Tape tape;
  const Var ones = as_var(full({n}, 1)), none = as_var(zeros({n}));
  CHECK(max(layer_norm(tensor(x, {1, n}), ones, none, 0)).item() == Approx(1).epsilon(1e-5));
  CHECK(max(rms_norm(tensor(x, {1, n}), ones, 0)).item() ==
        Approx(1.1 / std::sqrt((0.01 + 1.21) / 2)).epsilon(1e-5));
  const Var weight = as_var(full({2}, 1)), bias = as_var(zeros({2}));
  const Var y = layer_norm(tensor(x, {n / 2, 2}), weight, bias, 0);
  const std::vector<Var> grads = grad(sum(y * 0.1), {weight, bias});
  CHECK(select(grads[0], 0, 1).item() == Approx(0.05 * n).epsilon(1e-5));
  CHECK(select(grads[1], 0, 1).item() == Approx(0.05 * n).epsilon(1e-5));
}

}  // namespace rapt
