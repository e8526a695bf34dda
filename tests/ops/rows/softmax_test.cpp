// Softmax: rows that keep nothing, values that must not matter, errors, and large arrays.
#include "ops/rows/softmax.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

constexpr double infinity = std::numeric_limits<double>::infinity();

Tensor mask_of(const std::vector<int>& keep, const Shape& shape) {
  Tensor mask(shape, DType::boolean);
  for (size_t i = 0; i < keep.size(); ++i) mask.data<bool>()[i] = keep[i] != 0;
  return mask;
}

std::vector<double> values(const Var& var) { return var.value().to_vector<double>(); }

}  // namespace

TEST_CASE("a row that keeps nothing gives zeros, and so do its derivatives") {
  Tape tape;
  const Var x = as_var(tensor(std::vector<double>{1, 2, 3, 4, 5, 6}, {2, 3}));
  const Var mask = as_var(mask_of({0, 0, 0, 1, 0, 1}, {2, 3}));
  const bool by_scores = GENERATE(false, true);
  const Var y = by_scores ? softmax(masked(x, mask)) : softmax(x, {.mask = mask});
  const double e = std::exp(2.0);
  const std::vector<double> want{0, 0, 0, 1 / (1 + e), 0, e / (1 + e)};
  for (size_t i = 0; i < 6; ++i) CHECK(values(y)[i] == Approx(want[i]).epsilon(1e-12));

  const Var g = grad(sum(square(y)), {x})[0];
  const Var second = grad(sum(g * g), {x})[0];
  for (const size_t i : {0u, 1u, 2u, 4u}) {
    CHECK(values(y)[i] == 0);
    CHECK(values(g)[i] == 0);
    CHECK(values(second)[i] == 0);
  }
  CHECK(values(g)[3] != 0);
  CHECK(std::isfinite(values(second)[5]));
}

TEST_CASE("log_softmax: -inf under the mask, 0 in a row that keeps nothing") {
  Tape tape;
  const Var x = as_var(tensor(std::vector<double>{1, 2, 3, 4, 5, 6}, {2, 3}));
  const Var mask = as_var(mask_of({0, 0, 0, 1, 0, 1}, {2, 3}));
  const Var y = log_softmax(x, {.mask = mask});
  const std::vector<double> v = values(y);
  CHECK(v[0] == 0);
  CHECK(v[1] == 0);
  CHECK(v[2] == 0);
  CHECK(v[4] == -infinity);
  CHECK(v[3] == Approx(-std::log1p(std::exp(2.0))));
  const Var g = grad(sum(where(mask, y, 0) * 2), {x})[0];
  const Var second = grad(sum(g * g), {x})[0];
  for (const size_t i : {0u, 1u, 2u, 4u}) {
    CHECK(values(g)[i] == 0);
    CHECK(values(second)[i] == 0);
  }
}

TEST_CASE("what the mask takes out may be anything") {
  Tape tape;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor mask = mask_of({1, 0, 1}, {3});
  const Var x = as_var(tensor(std::vector<double>{1, nan, 1}, {3}));
  CHECK(values(softmax(x, {.mask = as_var(mask)})) == std::vector<double>{0.5, 0, 0.5});
  const Var far = as_var(tensor(std::vector<double>{1, infinity, 1}, {3}));
  CHECK(values(softmax(far, {.mask = as_var(mask)})) == std::vector<double>{0.5, 0, 0.5});
}

TEST_CASE("softmax says what does not fit") {
  Tape tape;
  const Var x = as_var(zeros({2, 3}));
  CHECK_THROWS_WITH(softmax(x, {.axis = 2}),
                    Contains("softmax: there is no axis 2 in [2, 3]; at softmax_test.cpp:"));
  CHECK_THROWS_WITH(log_softmax(x, {.axis = -3}),
                    Contains("log_softmax: there is no axis -3 in [2, 3]"));
  CHECK_THROWS_WITH(softmax(zeros({})), Contains("softmax: there is no axis -1 in []"));
  CHECK_THROWS_WITH(softmax(x, {.mask = as_var(zeros({2, 3}))}),
                    Contains("softmax: the mask has to be boolean, it is float32"));
  const Var wide = as_var(zeros({4, 2, 3}, DType::boolean));
  CHECK_THROWS_WITH(softmax(x, {.mask = wide}),
                    Contains("softmax: the mask [4, 2, 3] does not broadcast to [2, 3]"));
  const Var odd = as_var(zeros({2}, DType::boolean));
  CHECK_THROWS_WITH(softmax(x, {.mask = odd}), Contains("the mask [2] does not broadcast"));
  CHECK_THROWS_WITH(softmax(zeros({2, 3}, DType::int32)), Contains("expected a float type"));
}

TEST_CASE("empty arrays") {
  Tape tape;
  CHECK(softmax(zeros({0, 3})).value().shape() == Shape{0, 3});
  CHECK(softmax(zeros({3, 0})).value().shape() == Shape{3, 0});
}

TEST_CASE("softmax of many rows, the same on any number of threads") {
  const Tensor x = uniform(Key{1}, {300, 700}, -9, 9);
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 8}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const Var input = as_var(x);
    const Var y = softmax(input);
    const Var g = grad(sum(square(y)), {input})[0];
    Executor::current().run({y, g});
    results.push_back(y.value().to_vector<float>());
    for (const float v : g.value().to_vector<float>()) results.back().push_back(v);
  }
  // In parentheses: a difference should not print all values.
  CHECK((results[0] == results[1]));
  CHECK((results[0] == results[2]));
  const std::vector<float> in = x.to_vector<float>();
  for (const size_t row : {0u, 150u, 299u}) {
    double total = 0;
    for (size_t j = 0; j < 700; ++j) total += std::exp(static_cast<double>(in[row * 700 + j]));
    for (const size_t j : {0u, 13u, 699u}) {
      const double want = std::exp(static_cast<double>(in[row * 700 + j])) / total;
      CHECK(static_cast<double>(results[0][row * 700 + j]) == Approx(want).epsilon(2e-6));
    }
  }
}

}  // namespace rapt
