// Normalisation: errors, rows far from 0, and large arrays.
#include <cmath>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/random.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/grad.hpp>
#include <rapt/ops/norm.hpp>
#include <rapt/ops/reduce.hpp>

#include "catch.hpp"

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

}  // namespace rapt
