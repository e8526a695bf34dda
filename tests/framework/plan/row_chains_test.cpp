// Steps that run together, a few rows at a time.
#include <cstring>

#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/plan/plan.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/dropout.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/norm.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

const Key key{7};

/// How many steps run together, chain by chain.
std::vector<uint32_t> chains_of(std::initializer_list<Var> targets) {
  const auto plan = Executor::current().plan(std::span(targets.begin(), targets.size()));
  std::vector<uint32_t> chains;
  for (const Plan::Step& step : plan->steps) {
    if (step.chain.steps > 0) chains.push_back(step.chain.steps);
  }
  return chains;
}

using Lengths = std::vector<uint32_t>;

TEST_CASE("steps on the same rows run together") {
  const Tensor x = normal(key, {600, 128}), g = normal(key.fold(1), {600, 128});
  const Tensor weight = full({128}, 1), bias = zeros({128});
  Tape tape;
  const Var v = as_var(x);
  const Var y = softmax(v), seed = as_var(g);
  const Var dx = vjp(std::span(&y, 1), std::span(&seed, 1), std::span(&v, 1))[0];
  CHECK(chains_of({y, dx}) == Lengths{2});
  const Var n = layer_norm(v * 2, weight, bias);
  CHECK(chains_of({n, softmax(n + v)}) == Lengths{4});
}

TEST_CASE("what needs other rows waits for all of them") {
  const Tensor x = normal(key, {256, 256}), bias = zeros({256});
  Tape tape;
  const Var y = softmax(x);
  CHECK(chains_of({softmax(transpose(y) + y)}) == Lengths{1, 2});
  CHECK(chains_of({softmax(y) + slice(y, 0, 0, 1)}) == Lengths{2, 1});
  CHECK(chains_of({softmax(y, {.axis = 0})}) == Lengths{1, 1, 1});
  CHECK(chains_of({softmax(sum(y, {0}, true) + y)}) == Lengths{1, 1, 2});
  // Rows of another length are the same rows where all of an array is meant.
  CHECK(chains_of({softmax(reshape(y, {512, 128}))}) == Lengths{2});
  // Neighbours that share nothing, and what is one range in all, gain nothing.
  CHECK(chains_of({softmax(y), log_softmax(full({256, 256}, 1))}) == Lengths{2, 1});
  CHECK(chains_of({softmax(softmax(zeros({16, 16})))}) == Lengths{1, 1});
}

/// Random expressions over a few arrays, of operators that work row by row and others between them.
std::vector<Var> expressions(uint64_t seed, const std::vector<Var>& inputs, const Tensor& weight,
                             const Tensor& bias) {
  std::vector<Var> made = inputs;
  const Key own = key.fold(seed);
  uint64_t draws = 0;
  const auto any = [&] {
    return made[static_cast<size_t>(own.below(static_cast<int64_t>(made.size()), draws++))];
  };
  for (int i = 0; i < 14; ++i) {
    const Var a = any(), b = any();
    switch (own.below(10, draws++)) {
      case 0:
        made.push_back(softmax(a));
        break;
      case 1:
        made.push_back(log_softmax(a));
        break;
      case 2:
        made.push_back(layer_norm(a, weight, bias));
        break;
      case 3:
        made.push_back(rms_norm(a, weight));
        break;
      case 4:
        made.push_back(a * b + 0.5);
        break;
      case 5:
        made.push_back(dropout(tanh(a), 0.3));
        break;
      case 6:
        made.push_back(a - max(b, {1}, true));
        break;
      case 7:
        made.push_back(flip(a, {0}) + b);
        break;
      case 8:
        made.push_back(reshape(softmax(reshape(a, {-1, 32})), a.shape()));
        break;
      default:
        made.push_back(a + mean(b, {0}, true));
        break;
    }
  }
  return made;
}

TEST_CASE("the same bits with chains as without, on any number of threads") {
  const Tensor weight = normal(key.fold(1), {96}), bias = normal(key.fold(2), {96});
  std::vector<Tensor> arrays;
  for (uint64_t i = 0; i < 3; ++i) arrays.push_back(normal(key.fold(10 + i), {700, 96}));
  uint32_t longest = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::vector<std::vector<float>> first;
    // The guard runs one step after the other.
    for (const ExecutorOptions& options :
         {ExecutorOptions{.threads = 1, .guard = true}, ExecutorOptions{.threads = 1},
          ExecutorOptions{.threads = 3, .parallel_from = 0}}) {
      Executor executor(options);
      const Executor::Use use(executor);
      Tape tape(Training{key});
      std::vector<Var> inputs;
      for (const Tensor& array : arrays) inputs.push_back(as_var(array));
      const std::vector<Var> made = expressions(seed, inputs, weight, bias);
      const Var last = made.back(), before = made[made.size() - 3];
      std::vector<Var> wanted = grad(mean(square(last) + square(before)), inputs);
      wanted.push_back(last);
      for (const Plan::Step& step : executor.plan(wanted)->steps) {
        longest = std::max(longest, step.chain.steps);
      }
      executor.run(wanted);
      for (size_t i = 0; i < wanted.size(); ++i) {
        const std::vector<float> values = wanted[i].value().to_vector<float>();
        if (options.guard) {
          first.push_back(values);
        } else {
          INFO("seed " << seed << ", result " << i << ", threads " << options.threads);
          CHECK(std::memcmp(values.data(), first[i].data(), values.size() * sizeof(float)) == 0);
        }
      }
    }
  }
  CHECK(longest > 2);
}

}  // namespace
}  // namespace rapt
