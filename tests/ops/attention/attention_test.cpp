// What the table of operators does not show of attention: memory, rows that see nothing, what must
// not be read, dropout, large sizes, second derivatives along a direction, and errors.
#include "ops/attention/attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const Key key{31};
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Tensor drawn(uint64_t id, const Shape& shape, DType dtype = DType::float32) {
  return uniform(key.fold(id), shape, -1, 1, dtype);
}

/// The values behind handles, computed together.
std::vector<Tensor> values(const std::vector<Var>& vars) {
  Executor::current().run(vars);
  std::vector<Tensor> results;
  for (const Var& var : vars) results.push_back(var.value().clone());
  return results;
}

/// A tensor is all zeros at [b, :, t].
bool zeros_at(const Tensor& x, int64_t b, int64_t t) {
  const Shape s = x.shape();
  const std::vector<double> v = x.to_vector<double>();
  for (int64_t h = 0; h < s[1]; ++h) {
    for (int64_t j = 0; j < s[3]; ++j) {
      if (v[static_cast<size_t>(((b * s[1] + h) * s[2] + t) * s[3] + j)] != 0) return false;
    }
  }
  return true;
}

bool all_finite(const Tensor& x) {
  for (const double v : x.to_vector<double>()) {
    if (!std::isfinite(v)) return false;
  }
  return true;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = std::abs(x[i] - y[i]);
    largest = std::isnan(d) ? 1e30 : std::max(largest, d);
  }
  return largest;
}

/// Softmax of all scores, then the weighted sum: heads are not shared.
Var in_plain_operators(const Var& q, const Var& k, const Var& v, const Mask& mask) {
  const Var scores = matmul(q, transpose(k)) * (1 / std::sqrt(static_cast<double>(q.size(3))));
  const Var keep = as_boolean(mask, q.graph(), q.size(0), q.size(2), k.size(2));
  return matmul(softmax(scores, {.mask = keep}), v);
}

}  // namespace

TEST_CASE("memory grows with the length, not with its square") {
  constexpr int64_t T = 2048, D = 16;
  Tape tape(Training{key});
  const Var q = as_var(drawn(0, {1, 1, T, D})), k = as_var(drawn(1, {1, 1, T, D}));
  const Var v = as_var(drawn(2, {1, 1, T, D})), bias = as_var(drawn(3, {1, T}));
  const Var y = attention(q, k, v, {.mask = causal(), .bias = bias, .dropout = 0.1});
  std::vector<Var> wanted = grad(sum(square(y)), {q, k, v, bias});
  wanted.push_back(y);
  const int64_t bytes = Executor::current().plan(wanted)->arena_bytes;
  CHECK(bytes < T * T * 4 / 8);
  CHECK(bytes > T * D * 4);
}

TEST_CASE("large attention equals the plain operators, values and gradients") {
  constexpr int64_t B = 2, H = 2, D = 24;
  const int64_t Tq = GENERATE(1, 70, 150), Tk = GENERATE(1, 90, 300);
  CAPTURE(Tq, Tk);
  std::vector<std::vector<Tensor>> results;
  for (const bool fused : {true, false}) {
    Tape tape;
    const Var q = as_var(drawn(0, {B, H, Tq, D})), k = as_var(drawn(1, {B, H, Tk, D}));
    const Var v = as_var(drawn(2, {B, H, Tk, D}));
    const Tensor count = tensor({Tk / 2, std::min<int64_t>(Tk, 200)});
    const Mask mask = causal() & lengths(count);
    const Var y = fused ? attention(q, k, v, {.mask = mask}) : in_plain_operators(q, k, v, mask);
    std::vector<Var> wanted = grad(sum(y * as_var(drawn(3, {B, H, Tq, D}))), {q, k, v});
    wanted.push_back(y);
    results.push_back(values(wanted));
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    // Sums of up to 300 float terms below 1.
    CHECK(largest_difference(results[0][i], results[1][i]) < 2e-5);
  }
}

TEST_CASE("a query that sees nothing gives zeros, and so do its derivatives") {
  const int kind = GENERATE(0, 1, 2, 3);
  const double p = GENERATE(0.0, 0.3);
  CAPTURE(kind, p);
  Tape tape(Training{key});
  const Var q = as_var(drawn(0, {2, 2, 5, 3})), k = as_var(drawn(1, {2, 2, 4, 3}));
  const Var v = as_var(drawn(2, {2, 2, 4, 3}));
  AttentionOptions options{.dropout = p};
  Tensor kept = full({2, 5, 4}, 1, DType::boolean), bias = zeros({2, 1, 5, 4});
  for (size_t j = 0; j < 4; ++j) kept.data<bool>()[j] = false;  // sentence 0, query 0
  for (size_t j = 0; j < 4; ++j) {
    bias.data<float>()[j] = -std::numeric_limits<float>::infinity();
  }
  if (kind == 0) options.mask = causal();  // 5 queries, 4 keys: the first sees none
  if (kind == 1) options.mask = lengths(tensor<int32_t>({0, 4}));
  if (kind == 2) options.mask = keep(kept);
  if (kind == 3) options.bias = as_var(bias);
  const Var y = attention(q, k, v, options);
  const std::vector<Var> g = grad(sum(square(y) + y), {q, k, v});
  const std::vector<Var> h = grad(sum(square(g[0])) + sum(square(g[1])), {q, k, v});
  const std::vector<Tensor> r = values({y, g[0], g[1], g[2], h[0], h[1], h[2]});
  for (const Tensor& x : r) CHECK(all_finite(x));
  CHECK(zeros_at(r[0], 0, 0));
  CHECK(zeros_at(r[1], 0, 0));
  CHECK(zeros_at(r[4], 0, 0));
  CHECK_FALSE(zeros_at(r[0], 1, 4));
  CHECK_FALSE(zeros_at(r[1], 1, 4));
  if (kind == 1) {
    for (const size_t i : {2u, 3u, 5u, 6u}) CHECK(zeros_at(r[i], 0, 2));
  }
  if (kind != 3) {
    const Tensor w = attention_weights(q, k, options).value();
    CHECK(zeros_at(w, 0, 0));
    CHECK_FALSE(zeros_at(w, 1, 4));
  }
}

TEST_CASE("keys behind a sentence's length may hold anything") {
  Tensor keys = drawn(1, {1, 2, 6, 3}), others = drawn(2, {1, 2, 6, 3});
  for (const Tensor& x : {keys, others}) {
    for (size_t h = 0; h < 2; ++h) {
      for (size_t i = 0; i < 6; ++i) x.data<float>()[h * 18 + 12 + i] = nan;
    }
  }
  Tape tape;
  const Var q = as_var(drawn(0, {1, 2, 4, 3})), k = as_var(keys), v = as_var(others);
  const Mask mask = lengths(tensor<int32_t>({4}));
  const Var y = attention(q, k, v, {.mask = mask});
  const std::vector<Var> g = grad(sum(square(y)), {q, k, v});
  for (const Tensor& x : values({y, g[0], g[1], g[2], attention_weights(q, k, {.mask = mask})})) {
    CHECK(all_finite(x));
  }
}

TEST_CASE("dropout of attention follows the tape's key, forward and backward alike") {
  constexpr int64_t T = 40;
  const Tensor x = drawn(0, {2, 2, T, 4});
  const auto run = [&](const Training& training, double p) {
    Tape tape(training);
    // With unit vectors for values, the output shows the weights.
    Tensor unit = zeros({2, 2, T, T});
    for (size_t head = 0; head < 4; ++head) {
      for (size_t i = 0; i < T; ++i) unit.data<float>()[(head * T + i) * T + i] = 1;
    }
    const Var q = as_var(x), v = as_var(unit);
    const Var y = attention(q, q, v, {.dropout = p});
    // d sum(y) / d v at key j is the sum of column j of the weights, for every n.
    const std::vector<Var> g = grad(sum(y), {v});
    return values({y, g[0], attention_weights(q, q)});
  };
  const auto a = run(Training{key.fold(1)}, 0.3), b = run(Training{key.fold(1)}, 0.3);
  const auto c = run(Training{key.fold(2)}, 0.3);
  CHECK(largest_difference(a[0], b[0]) == 0);
  CHECK(largest_difference(a[1], b[1]) == 0);
  CHECK(largest_difference(a[0], c[0]) > 0);

  const std::vector<double> y = a[0].to_vector<double>(), w = a[2].to_vector<double>();
  const std::vector<double> g = a[1].to_vector<double>();
  int64_t dropped = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    if (y[i] == 0) ++dropped;
    REQUIRE((y[i] == 0 || std::abs(y[i] - w[i] / 0.7) < 1e-6));
  }
  // 6400 draws of probability 0.3: the standard deviation is 0.0057.
  CHECK(std::abs(static_cast<double>(dropped) / static_cast<double>(y.size()) - 0.3) < 0.03);
  for (size_t head = 0; head < 4; ++head) {
    for (size_t j = 0; j < T; ++j) {
      double column = 0;
      for (size_t i = 0; i < T; ++i) column += y[(head * T + i) * T + j];
      REQUIRE(g[(head * T + j) * T] == Approx(column).margin(1e-5));
    }
  }
}

TEST_CASE("attention drops nothing when it is evaluated") {
  const Tensor x = drawn(0, {1, 1, 5, 3});
  Tape tape;
  const Var q = as_var(x);
  const auto r = values({attention(q, q, q, {.dropout = 0.9}), attention(q, q, q)});
  CHECK(largest_difference(r[0], r[1]) == 0);
}

TEST_CASE("a Hessian's product with a vector matches the difference of gradients") {
  const Shape shape{1, 2, 7, 3};
  const Tensor at = drawn(0, shape, DType::float64), along = drawn(1, shape, DType::float64);
  const auto gradient = [&](double step, bool product) {
    Tape tape(Training{key});
    const Var d = as_var(along);
    Var x = as_var(at);
    if (!product) x = as_var((x + d * step).value());
    const Var y = attention(x, x, tanh(x), {.mask = causal(), .dropout = 0.2});
    const Var g = grad(sum(square(y)), {x})[0];
    return (product ? grad(sum(g * d), {x})[0] : g).value().to_vector<double>();
  };
  const auto up = gradient(1e-5, false), down = gradient(-1e-5, false);
  const auto product = gradient(0, true);
  double largest = 0;
  for (size_t i = 0; i < up.size(); ++i) {
    // Central differences: an error of the step squared, and rounding over the step.
    CHECK(product[i] == Approx((up[i] - down[i]) / 2e-5).margin(1e-7));
    largest = std::max(largest, std::abs(product[i]));
  }
  CHECK(largest > 1e-3);
}

TEST_CASE("splitting and merging heads copies nothing") {
  Tape tape;
  const Var x = as_var(drawn(0, {2, 5, 12}));
  const Var heads = transpose(reshape(x, {2, 5, 3, 4}), 1, 2);  // [B, H, T, D]
  const Var y = reshape(transpose(attention(heads, heads, heads), 1, 2), {2, 5, 12});
  CHECK(Executor::current().plan({&y, 1})->steps.size() == 1);
  // An operand whose last axis is not dense is copied.
  const Var other = as_var(drawn(0, {2, 3, 4, 5}));
  const Var z = attention(transpose(other), heads, heads);
  CHECK(Executor::current().plan({&z, 1})->steps.size() == 2);
}

TEST_CASE("attention of nothing") {
  Tape tape;
  const auto array = [](const Shape& shape) { return as_var(zeros(shape)); };
  const Var q = array({2, 2, 3, 4}), none = array({2, 2, 0, 4});
  const Var y = attention(q, none, none);
  CHECK(zeros_at(y.value(), 1, 2));
  CHECK(zeros_at(grad(sum(y), {q})[0].value(), 0, 0));
  CHECK(attention(none, q, q).value().size() == 0);
  CHECK(attention_weights(q, none).value().size() == 0);
}

TEST_CASE("attention's errors say what was expected") {
  Tape tape(Training{key});
  const auto array = [](const Shape& shape) { return as_var(zeros(shape)); };
  const Var q = array({2, 4, 3, 8}), k = array({2, 2, 5, 8}), v = array({2, 2, 5, 6});
  CHECK_NOTHROW(attention(q, k, v));
  CHECK_THROWS_WITH(attention(array({3, 8}), k, v), Contains("queries [B, Hq, Tq, D]") &&
                                                        Contains("[3, 8]") &&
                                                        Contains("attention_test.cpp"));
  CHECK_THROWS_WITH(attention(q, array({2, 2, 5, 7}), v), Contains("[2, 2, 5, 7]"));
  CHECK_THROWS_WITH(attention(q, array({2, 3, 5, 8}), v), Contains("4 query heads cannot share 3"));
  CHECK_THROWS_WITH(attention(q, k, array({2, 2, 4, 6})), Contains("values [B, Hk, Tk, Dv]"));
  CHECK_THROWS_WITH(attention(q, k, v, {.bias = array({2, 5})}),
                    Contains("bias [1, 1, 2, 5]") && Contains("[2, 4, 3, 5]"));
  CHECK_THROWS_WITH(attention(q, k, v, {.bias = array({1, 1, 2, 4, 3, 5})}), Contains("bias"));
  CHECK_THROWS_WITH(attention(q, k, v, {.mask = lengths(tensor<int32_t>({1, 2, 3}))}),
                    Contains("lengths [B], got [3]"));
  CHECK_THROWS_WITH(attention(q, k, v, {.mask = keep(full({2, 4}, 1, DType::boolean))}),
                    Contains("mask [2, 1, 1, 4]"));
  CHECK_THROWS_WITH(attention(q, k, v, {.dropout = 1.5}), Contains("in [0, 1]"));
  CHECK_THROWS_WITH(attention(q, k, as_var(zeros({2, 2, 5, 6}, DType::float64))),
                    Contains("one float type"));
  CHECK_THROWS_WITH(attention_weights(q, v), Contains("keys [B, Hk, Tk, D]"));
}

}  // namespace rapt
