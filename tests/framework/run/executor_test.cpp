// Running plans: threads, failures, guards, and whole training steps to the bit.
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <rapt/rapt.hpp>
#include <thread>

#include "framework/core/parallel.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

Tensor tokens(int64_t rows, int64_t length, uint64_t seed) {
  Tensor ids({rows, length}, DType::int32);
  for (int64_t i = 0; i < ids.size(); ++i) {
    ids.data<int32_t>()[static_cast<size_t>(i)] =
        static_cast<int32_t>(1 + Key{seed}.below(49, static_cast<uint64_t>(i)));
  }
  return ids;
}

/// Some training steps of a small translator with dropout; all its parameters afterwards.
std::vector<std::vector<float>> train(int threads, bool fuse, int steps, uint64_t seed = 5) {
  Executor executor({.threads = threads, .fuse = fuse});
  const Executor::Use use(executor);
  GruSeq2Seq model({.source_vocab = 50,
                    .target_vocab = 50,
                    .embed = 24,
                    .hidden = 40,
                    .readout = 32,
                    .dropout = 0.3},
                   Key{seed});
  Adam adam(parameters(model), {.lr = 1e-2, .clip_norm = 1});
  const Tensor source = tokens(9, 7, 1), in = tokens(9, 6, 2), out = tokens(9, 6, 3);
  for (int step = 0; step < steps; ++step) {
    const Tape tape(Training{Key{seed}.fold(static_cast<uint64_t>(step))});
    adam.step(cross_entropy(model(source, in), out, {.label_smoothing = 0.1}));
  }
  std::vector<std::vector<float>> result;
  for (const Parameter& p : parameters(model)) result.push_back(p.value().to_vector<float>());
  return result;
}

TEST_CASE("training steps with dropout have the same bits on 1, 2, 3 and 8 threads") {
  const auto alone = train(1, true, 4);
  for (const int threads : {2, 3, 8}) CHECK(train(threads, true, 4) == alone);
}

TEST_CASE("the key of a step decides about its dropout") {
  CHECK(train(1, true, 2, 5) == train(1, true, 2, 5));
  CHECK(train(1, true, 2, 5) != train(1, true, 2, 6));
}

const Op failing{
    .name = "failing",
    .shape = [](ShapeContext& c) { return c.input(0); },
    .cpu = {.forward = [](const ForwardContext&) { throw std::runtime_error("out of luck"); }}};

TEST_CASE("an exception in a step names the node, and the next step works") {
  for (const int threads : {1, 2}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Linear layer(300, 300, Key{1});
    (void)parameters(layer);
    Tape tape;
    const Var x = as_var(full({300, 300}, 1));
    const Var fine = sum(layer(x));
    const int line = __LINE__ + 1;
    const Var bad = sum(record(failing, {matmul(layer(x), x)}));
    const auto at_line = [&] { (void)bad.value(); };
    CHECK_THROWS_WITH(at_line(), Contains("failing: out of luck") &&
                                     Contains("executor_test.cpp:" + std::to_string(line)));
    CHECK(std::isfinite(fine.item()));
    Tape next;
    CHECK(sum(as_var(full({8}, 2))).item() == 16);
  }
}

TEST_CASE("a step that fails leaves every parameter alone, also those that it does not touch") {
  for (const int threads : {1, 2, 4}) {
    Executor executor({.threads = threads, .parallel_from = 0});
    const Executor::Use use(executor);
    std::vector<Parameter> all;
    for (uint64_t i = 0; i < 8; ++i) all.emplace_back(uniform(Key{i}, {120, 120}));
    std::vector<std::vector<float>> before;
    for (const Parameter& p : all) before.push_back(p.value().to_vector<float>());
    Sgd sgd(all, {.lr = 1});
    Tape tape;
    Var loss = sum(record(failing, {as_var(zeros({3}))}));
    for (const Parameter& p : all) loss = loss + sum(matmul(p, p));
    const Var other = sum(matmul(all[0], all[1]));
    CHECK_THROWS_AS(sgd.step(other, {loss}), Error);
    for (size_t i = 0; i < all.size(); ++i) CHECK(all[i].value().to_vector<float>() == before[i]);
    CHECK(sgd.steps() == 0);
  }
}

TEST_CASE("values asked for with an update are those from before it") {
  Parameter p(tensor<float>({1, 2, 3}));
  Sgd sgd({p}, {.lr = 1});
  Tape tape;
  const Var leaf = as_var(p), view = reshape(p, {3, 1});
  sgd.step(sum(square(p)), {leaf, view});
  CHECK(leaf.value().to_vector<float>() == std::vector<float>{1, 2, 3});
  CHECK(view.value().to_vector<float>() == std::vector<float>{1, 2, 3});
  CHECK(p.value().to_vector<float>() == std::vector<float>{-1, -2, -3});
}

TEST_CASE("what is recorded around an update is not made one step") {
  static const Op writing{.name = "writing",
                          .shape = [](ShapeContext& c) { c.output({0}, c.dtype()); },
                          .traits = {.mutates = 1},
                          .cpu = {.forward = [](const ForwardContext& c) {
                            for (int i = 0; i < 3; ++i) c.input(0).as<float>()[i] = 10;
                          }}};
  Parameter p(tensor<float>({1, 2, 3}));
  Tape tape;
  const Var before = p * 2.0;
  const Var done = record(writing, {p});
  const Var after = p * 3.0;
  const Var both = before + after;
  Executor::current().run({both, done});
  CHECK(both.value().to_vector<float>() == std::vector<float>{32, 34, 36});
}

TEST_CASE("the guard lets masked scores pass") {
  Executor executor({.guard = true});
  const Executor::Use use(executor);
  Tape tape;
  const Var keep = as_var(tensor<bool>({true, false, true}));
  const Var scores = as_var(tensor<float>({1, 2, 3}));
  CHECK(sum(softmax(masked(scores, keep))).item() == Approx(1));
  CHECK_THROWS_WITH(sum(log(scores - 1)).item(), Contains("log"));
}

TEST_CASE("the guard lets minus infinity pass where a mask made it, and on from there") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const bool fuse : {true, false}) {
    for (const int threads : {1, 4}) {
      Executor executor({.threads = threads, .guard = true, .fuse = fuse});
      const Executor::Use use(executor);
      const Tape tape;
      const Var keep = as_var(tensor<bool>({true, false, true}));
      const Var scores = as_var(tensor<float>({1, 2, 3}));
      const Var bias = as_var(tensor<float>({0, static_cast<float>(-infinity), 0}));
      // The last is made in the place of what it reads.
      for (const Var& y : {log_softmax(scores, {.mask = keep}), where(keep, scores, -infinity),
                           scores + bias, cumsum(cumsum(scores + bias, 0), 0)}) {
        CHECK(y.value().to_vector<double>()[1] == -infinity);
      }
      const Var hidden = as_var(full({3}, -infinity));
      CHECK(logsumexp(hidden).item() == -infinity);
      CHECK(max(hidden).item() == -infinity);

      // Nothing else goes on, and none that is new, made in the place of what it reads or not.
      CHECK_THROWS_WITH(((scores + bias) * -1.0).value(), Contains("infinity"));
      CHECK_THROWS_WITH((scores + bias - bias).value(), Contains("NaN"));
      CHECK_THROWS_WITH(log(scores - 1).value(), Contains("log"));
      if (!fuse) CHECK_THROWS_WITH(log(exp(scores + bias)).value(), Contains("log"));
    }
  }
}

TEST_CASE("the guard names the first node that made a NaN, and stops the update") {
  for (const int threads : {1, 4}) {
    Executor executor({.threads = threads, .guard = true});
    const Executor::Use use(executor);
    Parameter p(full({40000}, -1));
    Sgd sgd({p}, {.lr = 1});
    Tape tape;
    const Var a = p * 2.0;
    const int line = __LINE__ + 1;
    const Var b = log(a);
    const Var loss = sum(exp(b) + a);
    CHECK_THROWS_WITH(sgd.step(loss), Contains("log") && Contains("NaN") &&
                                          Contains("executor_test.cpp:" + std::to_string(line)));
    CHECK(p.value().data<float>()[0] == -1);
    // What is finite passes, and trains.
    Tape next;
    sgd.step(sum(p * p));
    CHECK(p.value().data<float>()[0] == 1);
  }
}

TEST_CASE("without a guard NaN flows on") {
  Tape tape;
  CHECK(std::isnan(sum(log(as_var(full({3}, -1)))).item()));
}

TEST_CASE("two threads of a program train models of their own at the same time") {
  const auto first = train(2, true, 6, 11), second = train(2, true, 6, 12);
  std::vector<std::vector<float>> a, b;
  std::thread one([&] { a = train(2, true, 6, 11); });
  std::thread two([&] { b = train(2, true, 6, 12); });
  one.join();
  two.join();
  CHECK(a == first);
  CHECK(b == second);
}

TEST_CASE("independent branches and nested loops give what one thread gives") {
  const auto branches = [](int threads) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const Var x = as_var(uniform(Key{3}, {160, 160}));
    Var total = as_var(0.0);
    for (int i = 0; i < 12; ++i) {
      Var y = x;
      for (int k = 0; k < 4; ++k) y = tanh(matmul(y, x) * 0.02);
      total = total + sum(y * static_cast<double>(i));
    }
    return total.item();
  };
  const double alone = branches(1);
  for (const int threads : {2, 3, 8}) CHECK(branches(threads) == alone);
}

TEST_CASE("a host's own arena can do the work") {
  for (const int limit : {1, 2}) {
    Executor executor({.callers_arena = true});
    tbb::task_arena arena(limit);
    double loss = 0;
    arena.execute([&] {
      const Executor::Use use(executor);
      Tape tape;
      const Var x = as_var(uniform(Key{3}, {300, 300}));
      loss = sum(matmul(tanh(x), x)).item();
    });
    Tape tape;
    const Var x = as_var(uniform(Key{3}, {300, 300}));
    CHECK(loss == sum(matmul(tanh(x), x)).item());
  }
}

TEST_CASE("an executor is safe inside the tasks of a host") {
  const auto alone = train(1, true, 2, 21);
  std::vector<std::vector<std::vector<float>>> results(6);
  tbb::parallel_for(size_t{0}, results.size(),
                    [&](size_t i) { results[i] = train(2, true, 2, 21); });
  for (const auto& result : results) CHECK(result == alone);
}

TEST_CASE("an operator's forward must not ask for values of its own executor") {
  static const Op asking{.name = "asking",
                         .shape = [](ShapeContext& c) { return c.input(0); },
                         .cpu = {.forward = [](const ForwardContext&) {
                           const Tape tape;
                           (void)sum(as_var(zeros({2}))).item();
                         }}};
  Tape tape;
  CHECK_THROWS_WITH(record(asking, {as_var(zeros({2}))}).value(),
                    Contains("already running a plan"));
}

TEST_CASE("each thread gets as many ranges of rows") {
  static std::atomic<int> ranges, rows, apart;
  static const Rowwise counting{
      .extent =
          [](const ForwardContext& c) {
            const Shape& shape = c.output().shape;
            return RowExtent{.count = shape[0], .width = shape[1], .block = 10, .range = 250};
          },
      .rows =
          [](const ForwardContext&, int64_t begin, int64_t end) {
            ++ranges;
            rows += static_cast<int>(end - begin);
            apart += static_cast<int>(begin % 10);
          }};
  static const Op op{.name = "counting",
                     .shape = [](ShapeContext& c) { return c.input(0); },
                     .cpu = {.rowwise = &counting}};
  for (const auto& [threads, height, wanted] :
       {std::tuple{1, 748, 3}, {2, 748, 4}, {2, 200, 1}, {3, 748, 3}, {4, 760, 4}, {2, 0, 0}}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    ranges = rows = apart = 0;
    Tape tape;
    const Var y = record(op, {as_var(zeros({height, 512}))});
    executor.run({y});
    INFO(threads << " threads, " << height << " rows");
    CHECK(ranges == wanted);
    CHECK(rows == height);
    CHECK(apart == 0);  // from where a block begins
  }
}

TEST_CASE("threads share the steps that others wait for") {
  // Each says how many threads share it.
  static constexpr auto shape = [](ShapeContext& c) { c.output({}, DType::float64); };
  static constexpr auto forward = [](const ForwardContext& c) {
    *c.output().as<double>() = c.threads();
  };
  static const Op lengthy{
      .name = "lengthy",
      .shape = shape,
      .cpu = {.forward = forward, .flops = [](const ForwardContext&) { return 1e8; }}};
  static const Op brief{
      .name = "brief",
      .shape = shape,
      .cpu = {.forward = forward, .flops = [](const ForwardContext&) { return 1e7; }}};
  for (const int threads : {1, 2}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const Var x = as_var(zeros({1}));
    const Var slow = record(lengthy, {x}), quick = record(brief, {x});
    executor.run({slow, quick});
    CHECK(slow.item() == threads);
    CHECK(quick.item() == 1);  // has time until the other is done
    const Var alone = record(brief, {x});
    executor.run({alone});
    CHECK(alone.item() == threads);
  }
}

TEST_CASE("memory of a result is used again only when nobody holds it") {
  Executor executor({.threads = 1});
  const Executor::Use use(executor);
  const auto filled = [](double value) {
    Tape tape;
    return (as_var(full({100000}, value)) * 1.0).value();  // too large to be copied
  };
  const Tensor first = filled(1), second = filled(2);
  CHECK(first.bytes() != second.bytes());
  CHECK(first.data<float>()[999] == 1);
  const void* freed = nullptr;
  {
    const Tensor third = filled(3);
    freed = third.bytes();
  }
  CHECK(filled(4).bytes() == freed);
  CHECK(second.data<float>()[0] == 2);
}

TEST_CASE("conversions inside of a fused step round as those in memory do") {
  for (const bool fuse : {true, false}) {
    CAPTURE(fuse);
    Executor executor({.fuse = fuse});
    Tape tape;
    const Var x = as_var(tensor<float>({0.5f, 0.f, 3.f, -0.25f, -2.75f}));
    const Var n = as_var(tensor<int32_t>({7, -7, 1, 0, 9}));
    const Var truth = cast(cast(x, DType::boolean), DType::float32) * 10;
    const Var whole = cast(cast(x * 1.5, DType::int32), DType::float32) + 0.5;
    const Var halves = n / 2 * 2;
    const Var fine = as_var(tensor<double>({1.0 / 3, 1e40, 1e-60, -2.5}));
    const Var coarse = cast(cast(fine * 1, DType::float32), DType::float64) * 1;
    executor.run({truth, whole, halves, coarse});
    CHECK(coarse.value().to_vector<double>() ==
          std::vector<double>{1.0f / 3.0f, HUGE_VAL, 0, -2.5});
    CHECK(truth.value().to_vector<float>() == std::vector<float>{10, 0, 10, 10, 10});
    CHECK(whole.value().to_vector<float>() == std::vector<float>{0.5f, 0.5f, 4.5f, 0.5f, -3.5f});
    CHECK(halves.value().to_vector<int32_t>() == std::vector<int32_t>{6, -6, 0, 0, 8});
  }
}

TEST_CASE("a value that was computed is not computed again") {
  Executor executor({.threads = 1});
  const Executor::Use use(executor);
  Tape tape;
  const Var y = exp(as_var(full({4}, 1)));
  (void)y.value();
  const Var z = sum(y);
  (void)z.value();
  (void)z.value();
  CHECK(executor.counters().steps == 2);
}

}  // namespace
}  // namespace rapt
