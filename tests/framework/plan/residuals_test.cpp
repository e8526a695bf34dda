// Sums that are made by the product that makes one of their parts.
#include <cmath>
#include <cstring>
#include <rapt/rapt.hpp>

#include "framework/plan/plan.hpp"
#include "framework/run/executor.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

const Key key{11};

/// How many nodes each step computes.
std::vector<uint32_t> nodes_of(std::initializer_list<Var> targets) {
  const auto plan = Executor::current().plan(std::span(targets.begin(), targets.size()));
  std::vector<uint32_t> nodes;
  for (const Plan::Step& step : plan->steps) nodes.push_back(step.nodes);
  return nodes;
}

using Nodes = std::vector<uint32_t>;

TEST_CASE("a sum is made by the product that makes one of its parts") {
  const Tensor a = normal(key, {8, 16}), weight = normal(key.fold(1), {16, 16});
  const Tensor bias = normal(key.fold(2), {16});
  Tape tape;
  const Var x = tanh(a);
  CHECK(nodes_of({x + linear(x, weight, bias)}) == Nodes{1, 2});
  CHECK(nodes_of({linear(x, weight) + x}) == Nodes{1, 2});
  CHECK(nodes_of({x + matmul(x, weight)}) == Nodes{1, 2});
  // Gradients that meet at x.
  const auto three = matmul(x, weight) + matmul(x, transpose(weight)) + linear(x, weight, bias);
  CHECK(nodes_of({three}) == Nodes{1, 1, 2, 2});
  // What follows row by row.
  CHECK(nodes_of({softmax(x + linear(x, weight))}) == Nodes{1, 2, 1});
}

TEST_CASE("a sum stays a step of its own where the product alone is not enough") {
  const Tensor a = normal(key, {8, 16}), weight = normal(key.fold(1), {16, 16});
  Tape tape;
  const Var x = tanh(a), y = matmul(x, weight);
  CHECK(nodes_of({x + y, y}) == Nodes{1, 1, 1});            // y is wanted
  CHECK(nodes_of({x + y, matmul(y, weight)}).size() == 4);  // y is read again
  CHECK(nodes_of({y + y}) == Nodes{1, 1, 1});
  CHECK(nodes_of({x + linear(x, weight, Activation::tanh)}) == Nodes{1, 1, 1});
  CHECK(nodes_of({tanh(x + matmul(x, weight))}) == Nodes{1, 1, 2});  // the sum in a register
  CHECK(nodes_of({slice(x, 0, 0, 1) + matmul(x, weight)}) == Nodes{1, 1, 1});
  CHECK(nodes_of({transpose(matmul(x, weight)) + transpose(x)}) == Nodes{1, 1, 1});
  CHECK(nodes_of({a + matmul(x, weight)}) == Nodes{1, 1, 1});  // an array of any layout
}

TEST_CASE("a product that is recorded before an update sees the array before it") {
  static const Op writing{
      .name = "writing",
      .shape = [](ShapeContext& c) { c.output({0}, c.dtype()); },
      .traits = {.mutates = 1},
      .cpu = {.forward = [](const ForwardContext& c) { c.input(0).as<float>()[0] = 10; }}};
  Parameter p(tensor<float>({1, 2, 3, 4}, {2, 2}));
  Tape tape;
  const Var product = matmul(full({2, 2}, 1), p);
  const Var done = record(writing, {p});
  const Var both = softmax(as_var(p)) + product;
  Executor::current().run({both, done});
  const auto y = both.value().to_vector<float>();
  const double small = 1 / (1 + std::exp(8.0)), more = 1 / (1 + std::exp(-1.0));
  const double expected[] = {5 - small, 6 + small, 5 - more, 6 + more};
  for (size_t i = 0; i < 4; ++i) CHECK(y[i] == Approx(expected[i]).epsilon(1e-6));
}

/// Sums of products of several forms, forward and backward, and how many are made in products.
/// Softmax keeps them from being made with other elementwise work.
template <class T>
std::vector<std::vector<T>> results(const ExecutorOptions& options, DType dtype, int& merged) {
  Executor executor(options);
  const Executor::Use use(executor);
  std::vector<std::vector<T>> values;
  uint64_t seed = 0;
  const auto drawn = [&](const Shape& shape) {
    return as_var(normal(key.fold(++seed), shape, 0, 1, dtype));
  };
  const auto run = [&](const std::vector<Var>& wanted) {
    for (const Plan::Step& step : executor.plan(wanted)->steps) {
      merged += step.op->cpu.fuses_residual != nullptr && step.nodes == 2 ? 1 : 0;
    }
    executor.run(wanted);
    for (const Var& one : wanted) values.push_back(one.value().template to_vector<T>());
  };
  // Tiles in several tasks and blocks of k, rows, dot products, columns; odd and even sizes.
  for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{300, 170, 600},
                                {33, 33, 33},
                                {1, 640, 640},
                                {5, 3, 40},
                                {700, 1, 20},
                                {3, 90, 300}}) {
    Tape tape;
    const Var x = drawn({m, k}), w = drawn({n, k}), v = drawn({k, n}), b = drawn({n});
    const Var y = softmax(drawn({m, n})) + linear(x, w, b);
    const Var z = matmul(x, v) + softmax(y);
    const Var t = linear(x, w) + softmax(z);
    std::vector<Var> wanted = grad(sum(square(softmax(t))), std::vector<Var>{x, w, v, b});
    for (const Var& other : {y, z, t}) wanted.push_back(other);
    run(wanted);
  }
  // Batches, with axes that one stride does not reach.
  Tape tape;
  const Var q = drawn({3, 17, 2, 24}), keys = drawn({3, 29, 2, 24});
  const Var scores = matmul(permute(q, {0, 2, 1, 3}), permute(keys, {0, 2, 3, 1}));
  const Var y = softmax(drawn({3, 2, 17, 29})) + scores;
  std::vector<Var> wanted = grad(sum(square(softmax(y))), std::vector<Var>{q, keys});
  wanted.push_back(y);
  run(wanted);
  return values;
}

TEMPLATE_TEST_CASE("the same bits in a product as after it, on any number of threads", "", float,
                   double) {
  const DType dtype = sizeof(TestType) == 4 ? DType::float32 : DType::float64;
  int merged = 0;
  const auto expected = results<TestType>({.threads = 1, .fuse = false}, dtype, merged);
  CHECK(merged == 0);
  for (const ExecutorOptions& options :
       {ExecutorOptions{.threads = 1}, ExecutorOptions{.threads = 3, .parallel_from = 0}}) {
    merged = 0;
    const auto values = results<TestType>(options, dtype, merged);
    CHECK(merged >= 6 * 5 + 1);  // y, z, t and two sums of x's gradient; the batch
    REQUIRE(values.size() == expected.size());
    for (size_t i = 0; i < values.size(); ++i) {
      INFO("result " << i << ", threads " << options.threads);
      REQUIRE(values[i].size() == expected[i].size());
      CHECK(std::memcmp(values[i].data(), expected[i].data(),
                        values[i].size() * sizeof(TestType)) == 0);
    }
  }
}

}  // namespace
}  // namespace rapt
