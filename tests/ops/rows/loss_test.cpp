// Losses: errors, labels that are no classes, and large arrays.
#include "ops/rows/loss.hpp"

#include <cmath>

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

Tensor labels_of(const std::vector<int32_t>& labels, const Shape& shape) {
  return tensor(labels, shape);
}

}  // namespace

TEST_CASE("cross_entropy says what does not fit") {
  Tape tape;
  const Tensor logits = zeros({2, 3, 5});
  const Tensor labels = zeros({2, 3}, DType::int32);
  CHECK_THROWS_WITH(cross_entropy(logits, zeros({2, 4}, DType::int32)),
                    Contains("cross_entropy: expected logits [.., V] and labels [..], got [2, 3, "
                             "5] and [2, 4]; at loss_test.cpp:"));
  CHECK_THROWS_WITH(
      cross_entropy(logits, zeros({2, 3})),
      Contains("cross_entropy: expected float logits and int32 labels, got float32 and float32"));
  CHECK_THROWS_WITH(cross_entropy(logits, labels, {.label_smoothing = 1.5}),
                    Contains("cross_entropy: label_smoothing has to be in [0, 1], it is 1.5"));
  CHECK_THROWS_WITH(
      cross_entropy(logits, labels, {.weight = as_var(zeros({4}))}),
      Contains("cross_entropy: expected class weights [5] of float32, got [4] of float32"));
}

TEST_CASE("a label that is no class is named, with its position") {
  Tape tape;
  const Tensor logits = zeros({2, 3, 5});
  for (const int32_t label : {5, -1, -100}) {
    const Tensor labels = labels_of({0, 1, 2, 3, label, 9}, {2, 3});
    const Var loss = cross_entropy(logits, labels, {.ignore = -2});
    CHECK_THROWS_WITH(loss.value(), Contains("cross_entropy: label " + std::to_string(label) +
                                             " at position [1, 1] is none of the 5 classes; at "
                                             "loss_test.cpp:"));
  }
  CHECK_NOTHROW(cross_entropy(logits, labels_of({0, 1, 2, 3, -100, 4}, {2, 3})).value());
}

TEST_CASE("of many labels that are no classes the first is named, on any number of threads") {
  std::vector<int32_t> labels(4000, 1);
  for (size_t i = 1234; i < labels.size(); i += 100) labels[i] = 77;
  for (const int threads : {1, 8}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const Var loss = cross_entropy(zeros({4000, 50}), labels_of(labels, {4000}));
    CHECK_THROWS_WITH(loss.value(), Contains("label 77 at position [1234]"));
  }
}

TEST_CASE("where all labels are ignored") {
  Tape tape;
  const Var logits = as_var(uniform(Key{1}, {2, 5}));
  const Tensor labels = labels_of({-100, -100}, {2});
  CHECK(cross_entropy(logits, labels, {.reduction = Reduction::sum}).item() == 0);
  CHECK(std::isnan(cross_entropy(logits, labels).item()));  // as PyTorch's
  const Var loss = cross_entropy(logits, labels, {.reduction = Reduction::sum});
  CHECK(grad(loss, {logits})[0].value().to_vector<double>() == std::vector<double>(10, 0));
}

TEST_CASE("a large vocabulary, the same on any number of threads") {
  constexpr int64_t rows = 200, classes = 5000;
  constexpr double smoothing = 0.1;
  const Tensor logits = uniform(Key{1}, {rows, classes}, -8, 8);
  std::vector<int32_t> labels(rows);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i * 23 % classes);
  for (const size_t i : {3u, 50u}) labels[i] = -100;
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 8}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const Var x = as_var(logits);
    const Var loss = cross_entropy(x, labels_of(labels, {rows}), {.label_smoothing = smoothing});
    const Var g = grad(loss, {x})[0];
    Executor::current().run({loss, g});
    results.push_back(g.value().to_vector<float>());
    results.back().push_back(static_cast<float>(loss.item()));
  }
  // In parentheses: a difference should not print all values.
  CHECK((results[0] == results[1]));
  CHECK((results[0] == results[2]));

  const std::vector<double> in = logits.to_vector<double>();
  double total = 0, worst = 0;
  for (size_t r = 0; r < rows; ++r) {
    if (labels[r] == -100) continue;
    const double* x = in.data() + r * classes;
    double sum = 0, mean = 0;
    for (size_t j = 0; j < classes; ++j) {
      sum += std::exp(x[j]);
      mean += x[j] / classes;
    }
    const auto label = static_cast<size_t>(labels[r]);
    total += (1 - smoothing) * (std::log(sum) - x[label]) + smoothing * (std::log(sum) - mean);
    for (size_t j = 0; j < classes; ++j) {
      const double target = (j == label ? 1 - smoothing : 0) + smoothing / classes;
      const double want = (std::exp(x[j]) / sum - target) / (rows - 2);
      const double got = static_cast<double>(results[0][r * classes + j]);
      worst = std::max(worst, std::abs(got - want));
    }
  }
  // The gradients are below 1 / 198; exp of 16 in float is good to some 2e-6 of itself.
  CHECK(worst < 2e-8);
  CHECK(static_cast<double>(results[0].back()) == Approx(total / (rows - 2)).epsilon(1e-5));
}

TEST_CASE("a loss keeps no probabilities: its gradient is all that is as large as the logits") {
  Tape tape;
  const Var x = as_var(uniform(Key{1}, {20, 100}));
  const Var loss = cross_entropy(x * 2, zeros({20}, DType::int32));
  const Var g = grad(loss, {x})[0];
  int large = 0;
  const Plan& plan = *Executor::current().plan({&g, 1});
  for (const Plan::Step& step : plan.steps) {
    for (uint32_t i = 0; i < step.outputs; ++i) {
      if (plan.views[step.first_output + i].size() == 2000) ++large;
    }
  }
  CHECK(large == 3);  // x * 2, the gradient of the loss, and that times 2
}

TEST_CASE("losses of two arrays take no different shapes") {
  Tape tape;
  CHECK_THROWS_WITH(mse_loss(zeros({3, 1}), zeros({3})),
                    Contains("mse_loss: shapes differ: [3, 1] and [3]; at loss_test.cpp:"));
  CHECK_THROWS_WITH(binary_cross_entropy_with_logits(zeros({3}), zeros({3, 1})),
                    Contains("binary_cross_entropy_with_logits: shapes differ: [3] and [3, 1]"));
  CHECK(binary_cross_entropy_with_logits(full({2}, 800), full({2}, 0)).item() == Approx(800));
  CHECK(binary_cross_entropy_with_logits(full({2}, -800), full({2}, 0)).item() == 0);
}

}  // namespace rapt
