// Matrix products and linear: errors, empty operands, large ones, and what is recorded and run.
#include "ops/products/matmul.hpp"

#include <cmath>
#include <cstring>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

Tensor draw(const Shape& shape, uint64_t stream, DType dtype = DType::float32) {
  return uniform(Key{5}.fold(stream), shape, -1, 1, dtype);
}

/// True if the value is a product that can be joined with others over more rows.
bool is_summed_over_rows(const Var& result) {
  const Graph& graph = result.graph();
  const Op* op = graph.nodes[graph.values[result.id()].node].op;
  return op != nullptr && op->sum_rule != nullptr && op->sum_rule->applies(result);
}

int steps_named(std::span<const Var> targets, std::string_view name) {
  int count = 0;
  for (const Plan::Step& step : Executor::current().plan(targets)->steps) {
    if (step.op->name == name) ++count;
  }
  return count;
}

size_t steps(const Var& target) { return Executor::current().plan({&target, 1})->steps.size(); }

bool same_bits(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.bytes(), b.bytes(), static_cast<size_t>(a.size() * size_of(a.dtype()))) == 0;
}

/// The largest distance from the product of a [B, m, k] and b [B, k, n] in double precision.
double worst_error(const Tensor& given, const Tensor& a, const Tensor& b) {
  const int64_t batch = a.shape()[0], m = a.shape()[1], k = a.shape()[2], n = b.shape()[2];
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  const std::vector<double> z = given.to_vector<double>();
  double worst = 0;
  for (int64_t s = 0; s < batch; ++s) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p < k; ++p) {
          sum += x[static_cast<size_t>((s * m + i) * k + p)] *
                 y[static_cast<size_t>((s * k + p) * n + j)];
        }
        const double error = std::abs(z[static_cast<size_t>((s * m + i) * n + j)] - sum);
        worst = std::max(worst, std::isnan(error) ? 1e30 : error);
      }
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("matmul says what does not fit") {
  Tape tape;
  const auto product = [](const Shape& a, const Shape& b) { return matmul(zeros(a), zeros(b)); };
  CHECK_THROWS_WITH(product({64, 128}, {256, 512}),
                    Contains("matmul: inner dimensions differ: [64, 128] x [256, 512]; at ") &&
                        Contains("matmul_test.cpp:"));
  CHECK_THROWS_WITH(product({3}, {4}), Contains("matmul: inner dimensions differ: [3] x [4]"));
  CHECK_THROWS_WITH(product({2, 3, 4}, {3, 4, 5}),
                    Contains("matmul: leading dimensions do not broadcast: [2, 3, 4] x [3, 4, 5]"));
  CHECK_THROWS_WITH(product({}, {3, 4}), Contains("matmul: a scalar is no matrix: [] x [3, 4]"));
  CHECK_THROWS_WITH(matmul(zeros({2, 3}), zeros({3, 2}, DType::float64)),
                    Contains("matmul: expected operands of one float type, got float32 and "
                             "float64"));
  CHECK_THROWS_WITH(matmul(zeros({2, 3}, DType::int32), zeros({3, 2}, DType::int32)),
                    Contains("got int32 and int32"));
}

TEST_CASE("linear says what does not fit") {
  Tape tape;
  CHECK_THROWS_WITH(
      linear(zeros({2, 12}), zeros({4, 13})),
      Contains("linear: expected x [.., in] and weight [out, in], got [2, 12] and [4, 13]"));
  CHECK_THROWS_WITH(linear(zeros({2, 12}), zeros({12})), Contains("got [2, 12] and [12]"));
  CHECK_THROWS_WITH(linear(zeros({}), zeros({4, 13})), Contains("got [] and [4, 13]"));
  CHECK_THROWS_WITH(linear(zeros({2, 3}), zeros({4, 3}), zeros({3})),
                    Contains("linear: expected a bias [out] for weight [out, in], got [3] and "
                             "[4, 3]"));
  CHECK_THROWS_WITH(linear(zeros({2, 3}), zeros({4, 3}), zeros({4}, DType::float64)),
                    Contains("got float32 and float64"));
}

TEST_CASE("empty operands") {
  Tape tape;
  const Tensor sum_of_nothing = matmul(zeros({3, 0}), zeros({0, 4})).value();
  CHECK(sum_of_nothing.shape() == Shape{3, 4});
  CHECK(sum_of_nothing.to_vector<double>() == std::vector<double>(12, 0));
  CHECK(matmul(zeros({0, 3}), zeros({3, 4})).value().shape() == Shape{0, 4});
  CHECK(matmul(zeros({2, 0, 3, 4}), zeros({4, 5})).value().shape() == Shape{2, 0, 3, 5});
  CHECK(matmul(zeros({0}), zeros({0})).item() == 0);
  const Tensor only_bias =
      linear(zeros({2, 0}), zeros({2, 0}), tensor<float>({1, -2}), Activation::relu).value();
  CHECK(only_bias.to_vector<double>() == std::vector<double>{1, 0, 1, 0});

  const Var weight = as_var(draw({3, 4}, 1));
  const Var g = grad(sum(matmul(zeros({0, 3}), weight)), {weight})[0];
  CHECK(g.value().to_vector<double>() == std::vector<double>(12, 0));
}

TEST_CASE("large products are right, and the same on any number of threads") {
  struct Form {
    Shape a, b;
  };
  for (const auto& [a_shape, b_shape] :
       {Form{{1, 200, 300}, {1, 300, 401}}, Form{{70, 33, 40}, {70, 40, 65}},
        Form{{3, 130, 257}, {3, 257, 90}}, Form{{500, 5, 16}, {500, 16, 7}}}) {
    const Tensor a = draw(a_shape, 1), b = draw(b_shape, 2);
    Tensor first;
    for (const int threads : {1, 2, 8}) {
      Executor executor({.threads = threads});
      const Executor::Use use(executor);
      Tape tape;
      const Tensor c = matmul(a, b).value().clone();
      if (!first) {
        first = c;
        // k roundings of sums that stay near sqrt(k); not all of them cancel.
        const double k = static_cast<double>(a_shape[-1]);
        CHECK(worst_error(c, a, b) < 1.2e-7 * (8 + 2 * k));
      } else {
        CHECK(same_bits(first, c));
      }
    }
  }
}

TEST_CASE("heads that lie between time and width are read in place") {
  const int64_t B = 5, T = 40, H = 6, D = 24;
  const Tensor q = draw({B, T, H, D}, 1), k = draw({B, T, H, D}, 2);
  Tensor first;
  for (const int threads : {1, 2, 8}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const Var scores = matmul(permute(q, {0, 2, 1, 3}), permute(k, {0, 2, 3, 1}));  // [B, H, T, T]
    CHECK(steps(scores) == 1);
    const Tensor c = scores.value().clone();
    if (!first) {
      first = c;
      const Tensor a = contiguous(permute(q, {0, 2, 1, 3})).value().reshape({B * H, T, D});
      const Tensor b = contiguous(permute(k, {0, 2, 3, 1})).value().reshape({B * H, D, T});
      CHECK(worst_error(c, a, b) < 1e-5);
    } else {
      CHECK(same_bits(first, c));
    }
  }
}

TEST_CASE("the gradient of a weight is one product over all rows") {
  Tape tape;
  const Var x = as_var(draw({6, 7, 5}, 1)), weight = as_var(draw({5, 4}, 2));
  const std::vector<Var> g = grad(sum(square(matmul(x, weight))), {weight});
  CHECK(g[0].shape() == weight.shape());
  CHECK(is_summed_over_rows(g[0]));
  CHECK(steps_named(g, "matmul") == 2);  // forward, and this one
  CHECK(steps_named(g, "sum") == 0);

  const Var w = as_var(draw({4, 5}, 3));
  const std::vector<Var> h = grad(sum(square(linear(x, w))), {w});
  CHECK(is_summed_over_rows(h[0]));
}

TEST_CASE("a weight used at every step gets one product for all of them") {
  constexpr int steps_taken = 12;
  Tape tape;
  const Var weight = as_var(draw({9, 9}, 1, DType::float64));
  Var h = as_var(draw({4, 9}, 2, DType::float64));
  std::vector<Var> states{h};
  for (int t = 0; t < steps_taken; ++t) {
    h = matmul(h, weight);
    states.push_back(h);
  }
  const Var g = grad(sum(h * draw({4, 9}, 3, DType::float64)), {weight})[0];
  CHECK(is_summed_over_rows(g));
  // 11 forward (the last one is not asked for), 11 back through the states, 1 for the weight.
  CHECK(steps_named({&g, 1}, "matmul") == 2 * steps_taken - 1);

  // dW = sum of h_t' d_t with d_t = d_(t+1) W'
  Var d = as_var(draw({4, 9}, 3, DType::float64));
  Var expected;
  for (int t = steps_taken; t-- > 0;) {
    const Var part = matmul(transpose(states[static_cast<size_t>(t)]), d);
    expected = expected.is_empty() ? part : expected + part;
    d = matmul(d, transpose(weight));
  }
  const std::vector<double> want = expected.value().to_vector<double>();
  const std::vector<double> got = g.value().to_vector<double>();
  for (size_t i = 0; i < want.size(); ++i) CHECK(got[i] == Approx(want[i]).epsilon(1e-12));
}

TEST_CASE("products over many rows are added, not joined") {
  Tape tape;
  const Var weight = as_var(draw({3, 3}, 1));
  const Tensor x = draw({50, 3}, 2), y = draw({40, 3}, 3);
  const Var g = grad(sum(matmul(x, weight)) + sum(matmul(y, weight)), {weight})[0];
  CHECK_FALSE(is_summed_over_rows(g));
  CHECK(steps_named({&g, 1}, "matmul") == 2);
  CHECK(steps_named({&g, 1}, "concat") == 0);
  std::vector<double> want(3, 0);
  for (const Tensor& rows : {x, y}) {
    const std::vector<double> values = rows.to_vector<double>();
    for (size_t i = 0; i < values.size(); ++i) want[i % 3] += values[i];
  }
  for (size_t i = 0; i < 9; ++i) {
    CHECK(g.value().to_vector<double>()[i] == Approx(want[i / 3]).epsilon(1e-5));
  }
}

TEST_CASE("linear is one step, and two where the activation's input is kept") {
  Tape tape;
  const Tensor x = draw({3, 5}, 1), weight = draw({4, 5}, 2), bias = draw({4}, 3);
  using enum Activation;
  for (const Activation activation : {none, relu, tanh, sigmoid}) {
    CHECK(steps(linear(x, weight, bias, activation)) == 1);
  }
  for (const Activation activation : {gelu, silu}) {
    CHECK(steps(linear(x, weight, bias, activation)) == 2);
  }
}

TEST_CASE("linear, large, agrees with its reference") {
  Tape tape;
  const Tensor x = draw({7, 50, 64}, 1), weight = draw({300, 64}, 2), bias = draw({300}, 3);
  const Tensor given = linear(x, weight, bias, Activation::tanh).value();
  const Tensor expected = tanh(matmul(x, transpose(as_var(weight))) + bias).value();
  const std::vector<double> got = given.to_vector<double>(), want = expected.to_vector<double>();
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::abs(got[i] - want[i]));
  CHECK(worst < 5e-6);  // sums of 64 products before a function of slope 1
}

TEST_CASE("a weight that comes again is packed once") {
  const int64_t rows = GENERATE(8, 40, 300);
  const bool packs = rows > 8;  // few rows read it as it lies
  const Tensor x = draw({rows, 256}, 1), weight = draw({256, 256}, 2), bias = draw({256}, 3);
  const auto run = [&](bool again, bool with_bias) {
    const Tape tape;
    const Var w = as_var(weight);
    Var h = as_var(x);
    std::vector<Var> all;
    for (int t = 0; t < 4; ++t) {
      // Another name for the weight is another weight.
      const Var own = again ? w : as_var(weight);
      h = with_bias ? linear(h, own, bias, Activation::tanh) : linear(h, own, Activation::tanh);
      all.push_back(h);
    }
    if (again) {
      const std::vector<Var> to = grad(sum(h), {w});
      all.push_back(to[0]);
      CHECK(steps_named({&h, 1}, "pack") == (packs ? 1 : 0));
      CHECK(steps_named(all, "linear") == 4);
    }
    std::vector<Tensor> values;
    for (const Var& var : all) values.push_back(var.value().clone());
    return values;
  };
  for (const bool with_bias : {false, true}) {
    const std::vector<Tensor> got = run(true, with_bias), want = run(false, with_bias);
    for (size_t t = 0; t < 4; ++t) CHECK(same_bits(got[t], want[t]));
  }
}

TEST_CASE("a weight that is packed before an update is packed again after it") {
  static const Op doubling{.name = "doubling",
                           .shape = [](ShapeContext& c) { c.output({0}, c.dtype()); },
                           .traits = {.mutates = 1},
                           .cpu = {.forward = [](const ForwardContext& c) {
                             for (int64_t i = 0; i < c.input(0).size(); ++i) {
                               c.input(0).as<float>()[i] *= 2;
                             }
                           }}};
  const Tensor rows = draw({40, 32}, 1);
  Parameter weight(draw({32, 32}, 2));
  const Tape tape;
  const Var x = as_var(rows);
  Var before, after;
  for (int t = 0; t < 3; ++t) before = linear(x, weight);
  const Var done = record(doubling, {weight});
  for (int t = 0; t < 3; ++t) after = linear(x, weight);
  const std::vector<Var> all{before, after, done};
  CHECK(steps_named(all, "pack") == 2);
  Executor::current().run(all);
  CHECK(same_bits(after.value(), Tensor((before * 2.0).value())));
}

TEST_CASE("a packed weight has its gradients") {
  check_gradient(
      [&](std::span<const Var> v) {
        Var h = v[0];
        for (int t = 0; t < 3; ++t) h = linear(h, v[1], v[2], Activation::tanh);
        CHECK(steps_named({&h, 1}, "pack") == 1);
        return sum(square(h));
      },
      shapes({{40, 8}, {8, 8}, {8}}), {.rtol = 1e-4});
}

}  // namespace rapt
