// Values that are asked for while a tape is recorded: they change nothing of what follows, cost
// what is new, and belong to the caller.
#include <cmath>
#include <cstring>
#include <rapt/rapt.hpp>

#include "framework/run/reference.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("streams that read each other are computed right, in every order") {
  // Each elementwise value meets a function of the other that is no part of its group.
  const auto values = [](const ExecutorOptions& options, int form) {
    Executor executor(options);
    const Executor::Use use(executor);
    Tape tape;
    const Var x = as_var(tensor(std::vector<float>{1, 2, 3, 4}, {4}));
    std::vector<Var> wanted;
    if (form == 0) {  // 4 20 54 112 and 4 18 48 100
      const Var a = x * 2, b = x + 1, of_a = cumsum(a, 0), of_b = cumsum(b, 0);
      wanted = {sum(a * of_b) + sum(b * of_a)};
    } else if (form == 1) {
      const Var w = as_var(full({4, 4}, 0.25)), row = reshape(x, {1, 4});
      const Var p = relu(row), q = relu(row * 3), of_p = matmul(p, w), of_q = matmul(q, w);
      wanted = {square(p - of_q), square(q - of_p)};
    } else {
      const Var w = as_var(full({4, 4}, 0.25)), row = reshape(x, {1, 4});
      Var p = tanh(row * 0.1), q = tanh(row * 0.2);
      for (int i = 0; i < 4; ++i) {
        const Var next = p * sigmoid(matmul(q, w));
        q = q * sigmoid(matmul(p, w));
        p = next;
      }
      const Var both = sum(concat({Arg(p), Arg(q)}, 1));
      wanted = {grad(both, std::vector<Var>{x})[0], q, p};
    }
    executor.run(wanted);
    std::vector<std::vector<float>> result;
    for (const Var& v : wanted) result.push_back(v.value().to_vector<float>());
    return result;
  };
  CHECK(values({}, 0)[0][0] == 360);
  for (int form = 0; form < 3; ++form) {
    const auto expected = values({.reference = true}, form);
    for (const int threads : {1, 2, 3}) {
      CHECK(values({.threads = threads, .parallel_from = 0}, form) == expected);
    }
  }
}

TEST_CASE("a parameter that was looked at is still updated") {
  const auto after_step = [](auto&& look) {
    Parameter p(full({2, 3}, 1));
    Sgd sgd({p}, {.lr = 0.5});
    Tape tape;
    const Var w = as_var(p), loss = sum(w * 2);
    look(w, p);
    CHECK(sgd.step(loss));
    return p.value().data<float>()[0];
  };
  CHECK(after_step([](const Var&, const Parameter&) {}) == 0);
  CHECK(after_step([](const Var& w, const Parameter&) { (void)w.value(); }) == 0);
  CHECK(after_step([](const Var&, const Parameter& p) { (void)as_var(p).value(); }) == 0);
  CHECK(after_step([](const Var& w, const Parameter&) { (void)transpose(w).value(); }) == 0);
  CHECK(after_step([](const Var& w, const Parameter&) { (void)select(w, 0, 1).value(); }) == 0);
}

TEST_CASE("what was looked at keeps the value that it had before the step") {
  Parameter p(full({3}, 1));
  Sgd sgd({p}, {.lr = 0.5});
  Tape tape;
  const Var w = as_var(p), loss = sum(w * 2);
  const Tensor seen = w.value();
  sgd.step(loss);
  CHECK(seen.data<float>()[0] == 1);
  CHECK(w.value().data<float>()[0] == 1);
}

TEST_CASE("a parameter that was looked at and then set is refused") {
  Parameter p(full({3}, 1));
  Tape tape;
  const Var w = as_var(p), loss = sum(w * 2);
  (void)w.value();
  p.set(full({3}, 5));
  CHECK_THROWS_WITH(loss.item(), Contains("has changed since it was recorded"));
}

TEST_CASE("a value at each step costs what is new, in a few plans") {
  for (const bool item : {false, true}) {
    Executor executor({.threads = 1});
    const Executor::Use use(executor);
    Linear policy(8, 8, Key{4});
    Tape tape;
    Var h = as_var(full({1, 8}, 0.1));
    constexpr int n = 400;
    for (int i = 0; i < n; ++i) {
      h = tanh(policy(h));
      if (item) {
        (void)mean(h).item();
      } else {
        (void)log_softmax(h).value();
      }
    }
    const ExecutorCounters counters = executor.counters();
    CHECK(counters.runs == n);
    CHECK(counters.steps <= 4 * n);
    CHECK(counters.plans_made <= 4);
  }
}

TEST_CASE("chains of elementwise work are not computed again from their start") {
  Executor executor({.threads = 1});
  const Executor::Use use(executor);
  Tape tape;
  Var x = as_var(full({8}, 1));
  constexpr int n = 200;
  for (int i = 0; i < n; ++i) {
    x = x * 0.5 + 1;
    (void)(x * 2).value();
  }
  CHECK(executor.counters().steps <= 5 * n);
  CHECK(x.value().data<float>()[3] == Approx(2));
}

TEST_CASE("looks in between change no bit of gradients and updates") {
  const auto train = [](int looks) {
    Linear first(6, 6, Key{1}), second(6, 3, Key{2});
    std::vector<Parameter> all = parameters(first);
    for (const Parameter& p : parameters(second)) all.push_back(p);
    Adam adam({{.parameters = parameters(first)}}, {.lr = 0.01, .clip_norm = 1});
    std::vector<float> seen;
    for (int step = 0; step < 3; ++step) {
      Tape tape(Training{Key{9}.fold(static_cast<uint64_t>(step))});
      const Var x = as_var(normal(Key{3}, {4, 6}));
      const Var h = dropout(tanh(first(x)), 0.3);
      if (looks > 0) (void)mean(h).item();
      const Var y = second(h) + sum(h);
      if (looks > 1) (void)y.value();
      if (looks > 2) (void)as_var(all[0]).value();
      const Var loss = mean(square(y));
      if (looks > 0) (void)loss.item();
      adam.step(loss);
      seen.push_back(static_cast<float>(loss.item()));
    }
    for (const Parameter& p : all) {
      for (const float f : p.value().to_vector<float>()) seen.push_back(f);
    }
    return seen;
  };
  const std::vector<float> expected = train(0);
  for (int looks = 1; looks < 4; ++looks) CHECK(train(looks) == expected);
}

TEST_CASE("a buffer that is filled again does not change what was recorded of it") {
  Parameter w(full({1}, 1));
  Tensor buffer({2});
  Tape tape;
  std::vector<Var> losses;
  for (const float b : {1.f, 10.f}) {
    for (float& x : buffer.data<float>()) x = b;
    losses.push_back(sum(as_var(buffer) * w));
  }
  CHECK(losses[0].item() == 2);
  CHECK(losses[1].item() == 20);
}

TEST_CASE("a large buffer that is filled again is refused, at its line") {
  Tensor buffer = full({100, 1000}, 1);
  Tape tape;
  const Var loss = sum(as_var(buffer));
  for (float& x : buffer.data<float>()) x = 2;
  CHECK_THROWS_WITH(loss.item(), Contains("[100, 1000] that was recorded has been written to") &&
                                     Contains("values_test.cpp"));
  CHECK(sum(as_var(buffer)).item() == 200000);
}

TEST_CASE("what value() gave may be written to, or the tape says that it was") {
  Tape tape;
  const Var x = as_var(tensor(std::vector<float>{0, 1}, {2})), y = exp(x);
  y.value().data<float>()[0] = 0;
  CHECK(grad(sum(y), std::vector<Var>{x})[0].value().to_vector<float>()[0] == 1);

  const Var large = exp(as_var(full({100, 1000}, 0)));
  const Tensor given = large.value();
  CHECK(sum(large).item() == 100000);
  for (float& f : given.data<float>()) f = 3;
  CHECK_THROWS_WITH(sum(large * 2).item(), Contains("that value() gave has been written to"));
  // The same through a view.
  const Var other = exp(as_var(full({100, 1000}, 0)));
  (void)sum(other).item();
  const Tensor view = reshape(other, {1000, 100}).value();
  const Tensor own = view.clone();
  for (float& f : own.data<float>()) f = 3;
  CHECK(sum(other * 2).item() == 200000);
}

TEST_CASE("parameters have memory of their own") {
  const Tensor loaded = full({1}, 1);
  Parameter teacher(loaded), student(loaded);
  Sgd sgd({student}, {.lr = 0.1});
  Tape tape;
  sgd.step(sum(as_var(student)));
  CHECK(student.value().item() == Approx(0.9));
  CHECK(teacher.value().item() == 1);
  CHECK(loaded.item() == 1);
  // A tensor that nobody else holds is taken as it is.
  Tensor only = full({4}, 1);
  const void* const where = only.bytes();
  CHECK(Parameter(std::move(only)).value().bytes() == where);
}

TEST_CASE("an operator that updates a tensor updates the tensor, not a copy") {
  static const Op count_op{
      .name = "count_up",
      .shape = [](ShapeContext& c) { c.output({0}, DType::float64); },
      .traits = {.mutates = 0b1},
      .cpu = {.forward = [](const ForwardContext& c) { *c.input(0).as<float>() += 1; }}};
  const Tensor counter = full({}, 0);
  for (int i = 1; i < 4; ++i) {
    Tape tape;
    const Var c = as_var(counter);
    const Var before = c * 10;
    const Var update = record(count_op, {c});
    Executor::current().run({before, update});
    CHECK(counter.item() == i);
    CHECK(before.item() == 10 * (i - 1));
  }
}

TEST_CASE("the reference executor runs updates in the order of recording") {
  Executor executor({.reference = true});
  const Executor::Use use(executor);
  Parameter p(full({2}, 1));
  Sgd sgd({p}, {.lr = 0.5});
  Tape tape;
  const Var loss = sum(p * 3.0), late = sum(exp(p));
  sgd.step(loss, {late});
  CHECK(loss.item() == 6);
  CHECK(late.item() == Approx(2 * std::exp(1.0)));
  CHECK(p.value().data<float>()[0] == -0.5f);
}

/// Asks for more scratch than there is.
constinit const Op greedy_op{
    .name = "greedy",
    .shape = [](ShapeContext& c) { c.output(c.input(0), c.dtype(0)); },
    .cpu = {.forward = [](const ForwardContext&) {},
            .scratch = [](const ForwardContext&) { return int64_t{1} << 42; }}};

TEST_CASE("memory that cannot be had is an Error with operator, size and place, and no end",
          "[terabytes]") {
  Executor executor;
  const Executor::Use use(executor);
  const Tensor a = normal(Key{1}, {64, 64});
  const auto small = [&] {
    Tape tape;
    return sum(exp(matmul(as_var(a), as_var(a)) * 0.01)).item();
  };
  const double expected = small();
  {
    Tape tape;
    const Var x = as_var(zeros({1 << 20, 1}));
    const Var y = matmul(softmax(matmul(x, transpose(x))), x);
    CHECK_THROWS_AS(sum(y).item(), OutOfMemory);
    CHECK_THROWS_WITH(sum(y).item(), Contains("4.4 TB") && Contains("[1048576, 1048576]") &&
                                         Contains("values_test.cpp"));
  }
  CHECK(small() == expected);
  {
    Tape tape;  // a result
    const Var x = as_var(zeros({1 << 20, 1}));
    const Var y = exp(matmul(x, transpose(x)));
    CHECK_THROWS_WITH(y.value(), Contains("4.4 TB for results") && Contains("[1048576, 1048576]") &&
                                     Contains("values_test.cpp"));
    CHECK(sum(x).item() == 0);
  }
  CHECK(small() == expected);
  {
    Tape tape;  // scratch
    const Var y = record(greedy_op, {as_var(a)});
    CHECK_THROWS_AS(y.value(), OutOfMemory);
    CHECK_THROWS_WITH(y.value(), Contains("greedy") && Contains("4.4 TB") && Contains("[64, 64]") &&
                                     Contains("values_test.cpp"));
    Executor reference({.reference = true});
    const Executor::Use instead(reference);
    CHECK_THROWS_AS(y.value(), OutOfMemory);
    CHECK_THROWS_WITH(y.value(), Contains("greedy") && Contains("[64, 64]"));
    CHECK(sum(as_var(full({2}, 1))).item() == 2);
  }
  CHECK(small() == expected);
  CHECK_THROWS_AS(Tensor({1 << 30, 1 << 20}), OutOfMemory);
  CHECK_THROWS_WITH(Tensor({1 << 30, 1 << 20}), Contains("4.5 PB"));
}

TEST_CASE("a weight is used more often than a node has inputs") {
  Tape tape;
  const Var w = as_var(full({2, 2}, 0.5));
  Var y = as_var(full({1, 2}, 1));
  constexpr int n = 66000;
  for (int i = 0; i < n; ++i) y = matmul(y, w);
  // Every y is [1, 1], and so is every gradient: each use adds 1 to each element.
  const Tensor gradient = grad(sum(y), std::vector<Var>{w})[0].value();
  for (const float g : gradient.to_vector<float>()) CHECK(g == n);
}

TEST_CASE("parts of one form, asked for in turn, are not taken for each other") {
  std::vector<float> numbers(24);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i + 1);
  for (const bool computed : {false, true}) {  // views of a leaf, of a known value
    Tape tape;
    const Var leaf = as_var(tensor(numbers, {4, 6})), x = computed ? leaf * 1 : leaf;
    if (computed) (void)x.value();
    (void)sum(leaf).item();
    for (int64_t row = 0; row < 4; ++row) {
      CHECK(sum(select(x, 0, row)).item() == static_cast<double>(36 * row + 21));
    }
    for (int64_t column = 0; column < 6; ++column) {
      CHECK(sum(select(x, 1, column)).item() == static_cast<double>(4 * column + 40));
    }
    CHECK(sum(slice(x, 1, 0, 2) * slice(x, 1, 2, 4)).item() ==
          1 * 3 + 2 * 4 + 7 * 9 + 8 * 10 + 13 * 15 + 14 * 16 + 19 * 21 + 20 * 22);
    CHECK(sum(slice(x, 1, 2, 4) * slice(x, 1, 2, 4)).item() ==
          9 + 16 + 81 + 100 + 225 + 256 + 441 + 484);
    CHECK(cumsum(select(x, 0, 1), 0).value().data<float>()[5] == 57);
    CHECK(cumsum(select(x, 1, 1), 0).value().data<float>()[3] == 44);
  }
}

TEST_CASE("independent values on one tape cost what they do on tapes of their own") {
  // A loop that evaluates batches, with and without something that all of them need.
  for (const bool common : {false, true}) {
    Executor executor({.threads = 1});
    const Executor::Use use(executor);
    const Linear layer(8, 8, Key{4});
    constexpr int n = 50;
    Tape tape;
    const Var scale = as_var(full({1}, 2)), shared = exp(cumsum(scale, 0));
    for (int i = 0; i < n; ++i) {
      Var h = as_var(full({4, 8}, i));
      for (int k = 0; k < 4; ++k) h = tanh(tanh(layer(h)) * 0.5) + 1;
      (void)mean(common ? h * shared : h).item();
    }
    // Every value that is kept is a result of the tape.
    CHECK(tape.graph().results.size() <= (common ? 2 * n : n) + 50);
    CHECK(executor.counters().steps <= 10 * n);
  }
}

}  // namespace
}  // namespace rapt
