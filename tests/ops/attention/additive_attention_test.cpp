// What the table of operators does not show of additive attention: what is not seen is not read,
// decoder steps that share their keys, sizes split into tasks, and errors.
#include "ops/attention/additive_attention.hpp"

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
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

const Key key{12};

Tensor drawn(uint64_t id, const Shape& shape, DType dtype = DType::float64) {
  return uniform(key.fold(id), shape, -1, 1, dtype);
}

std::vector<Tensor> values(const std::vector<Var>& vars) {
  Executor::current().run(vars);
  std::vector<Tensor> results;
  for (const Var& var : vars) results.push_back(var.value().clone());
  return results;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

TEST_CASE("a query that sees no key gives zeros and no gradient; what is not seen is not read") {
  Tape tape;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Tensor keys = drawn(1, {2, 4, 7}), memory = drawn(3, {2, 4, 3});
  const auto spoil = [&](const Tensor& x, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) x.data<double>()[i] = nan;
  };
  spoil(keys, 4 * 7, 8 * 7);  // sentence 1: no key
  spoil(keys, 2 * 7, 4 * 7);  // sentence 0: two keys
  spoil(memory, 4 * 3, 8 * 3);
  spoil(memory, 2 * 3, 4 * 3);
  const std::vector<Var> wrt{as_var(drawn(0, {2, 5, 7})), as_var(keys), as_var(drawn(2, {7})),
                             as_var(memory)};
  const Var context = additive_attention(wrt[0], wrt[1], wrt[2], wrt[3],
                                         lengths(as_var(tensor({int32_t{2}, int32_t{0}}))));
  const Var weights = context.output(1);
  std::vector<Var> wanted{context, weights};
  for (const Var& g : grad(sum(context * context) + sum(weights * weights), wrt)) {
    wanted.push_back(g);
  }
  const std::vector<Tensor> results = values(wanted);
  for (const Tensor& result : results) {
    for (const double x : result.to_vector<double>()) REQUIRE(std::isfinite(x));
  }
  const auto all_zero = [](const Tensor& x, size_t begin) {
    const std::vector<double> v = x.to_vector<double>();
    for (size_t i = begin; i < v.size(); ++i) CHECK(v[i] == 0);
  };
  all_zero(results[0], 5 * 3);  // from sentence 1 on
  all_zero(results[1], 5 * 4);
  all_zero(results[2], 5 * 7);
  all_zero(results[3], 4 * 7);
  all_zero(results[5], 4 * 3);
}

TEST_CASE("one call for all queries is the same as a call for each, in values and gradients") {
  std::vector<std::vector<Tensor>> results;
  for (const bool together : {true, false}) {
    Tape tape;
    const std::vector<Var> in{as_var(drawn(0, {3, 4, 9})), as_var(drawn(1, {3, 5, 9})),
                              as_var(drawn(2, {9})), as_var(drawn(3, {3, 5, 6}))};
    const Mask mask = lengths(as_var(tensor({int32_t{5}, int32_t{1}, int32_t{3}})));
    Var context;
    if (together) {
      context = additive_attention(in[0], in[1], in[2], in[3], mask);
    } else {
      std::vector<Var> steps;
      for (int64_t i = 0; i < 4; ++i) {
        steps.push_back(additive_attention(select(in[0], 1, i), in[1], in[2], in[3], mask));
      }
      context = stack(steps, 1);
    }
    std::vector<Var> wanted{context};
    for (const Var& g : grad(sum(context * as_var(drawn(4, {3, 4, 6}))), in)) wanted.push_back(g);
    results.push_back(values(wanted));
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    // Rounding of sums over four queries in double.
    CHECK(largest_difference(results[0][i], results[1][i]) < 1e-13);
  }
}

TEST_CASE("sizes that are split into tasks give the same bits on any number of threads") {
  std::vector<std::vector<Tensor>> results;
  for (const int threads : {1, 2, 5}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const std::vector<Var> in{as_var(drawn(0, {33, 130}, DType::float32)),
                              as_var(drawn(1, {33, 21, 130}, DType::float32)),
                              as_var(drawn(2, {130}, DType::float32)),
                              as_var(drawn(3, {33, 21, 70}, DType::float32))};
    const Var context = additive_attention(in[0], in[1], in[2], in[3]);
    std::vector<Var> wanted{context};
    for (const Var& g : grad(sum(context * context), in)) wanted.push_back(g);
    results.push_back(values(wanted));
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    const auto bytes = static_cast<size_t>(results[0][i].size()) * sizeof(float);
    CHECK(std::memcmp(results[0][i].bytes(), results[1][i].bytes(), bytes) == 0);
    CHECK(std::memcmp(results[0][i].bytes(), results[2][i].bytes(), bytes) == 0);
  }
}

TEST_CASE("an empty batch") {
  Tape tape;
  const std::vector<Var> in{as_var(zeros({0, 4})), as_var(zeros({0, 3, 4})), as_var(zeros({4})),
                            as_var(zeros({0, 3, 2}))};
  const Var context = additive_attention(in[0], in[1], in[2], in[3]);
  CHECK(context.value().shape() == Shape{0, 2});
  for (const double g : grad(sum(context), in)[2].value().to_vector<double>()) CHECK(g == 0);
}

TEST_CASE("a bias of -inf hides a key of additive attention, also all of them") {
  Tape tape;
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<Var> in{
      as_var(uniform(key.fold(0), {1, 2, 4}, -1, 1)),
      as_var(uniform(key.fold(1), {1, 3, 4}, -1, 1)), as_var(uniform(key.fold(2), {4}, -1, 1)),
      as_var(uniform(key.fold(3), {1, 3, 2}, -1, 1)),
      as_var(tensor(std::vector<float>{0, -inf, 0, -inf, -inf, -inf}, {1, 1, 2, 3}))};
  const Var hidden = additive_attention(in[0], in[1], in[2], in[3], additive(in[4]));
  const Tensor seen = tensor(std::vector<float>{1, 0, 1, 0, 0, 0}, {1, 2, 3}).to(DType::boolean);
  const Var kept = additive_attention(in[0], in[1], in[2], in[3], keep(seen));
  CHECK(hidden.value().to_vector<float>() == kept.value().to_vector<float>());
  const std::vector<float> weights = hidden.output(1).value().to_vector<float>();
  CHECK((weights[1] == 0 && weights[3] == 0 && weights[4] == 0 && weights[5] == 0));
  for (const Var& g : grad(sum(hidden * hidden), in)) {
    for (const float x : g.value().to_vector<float>()) CHECK(std::isfinite(x));
  }
}

TEST_CASE("errors of additive attention name the shapes") {
  Tape tape;
  using Catch::Matchers::Contains;
  const Var query = as_var(zeros({2, 4})), keys = as_var(zeros({2, 3, 4}));
  const Var v = as_var(zeros({4})), memory = as_var(zeros({2, 3, 5}));
  CHECK_THROWS_WITH(additive_attention(as_var(zeros({2, 6})), keys, v, memory),
                    Contains("additive_attention: expected query [B, A]") &&
                        Contains("[2, 6], [2, 3, 4]") && Contains("additive_attention_test.cpp"));
  CHECK_THROWS_WITH(additive_attention(query, keys, v, as_var(zeros({2, 4, 5}))),
                    Contains("[2, 3, 4] and [2, 4, 5]"));
  CHECK_THROWS_WITH(
      additive_attention(query, keys, v, memory, keep(zeros({2, 2, 1, 3}, DType::boolean))),
      Contains("mask [B, T]") && Contains("[2, 2, 1, 3]"));
  CHECK_THROWS_WITH(additive_attention(query, keys, v, memory, keep(zeros({2, 4}, DType::boolean))),
                    Contains("mask [B, T]") && Contains("[2, 1, 1, 4]"));
  CHECK_THROWS_WITH(additive_attention(query, keys, v, memory, lengths(zeros({3}, DType::int32))),
                    Contains("lengths [B], got [3]"));
  CHECK_THROWS_WITH(additive_attention(query, keys, as_var(zeros({4}, DType::float64)), memory),
                    Contains("float type"));
}

}  // namespace
}  // namespace rapt
