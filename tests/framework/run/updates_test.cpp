// Operators that write to leaves: once, in the order of recording, to the memory that was meant,
// whatever else was recorded of it. Planned and by the reference executor.
#include <rapt/rapt.hpp>

#include "framework/graph/tape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

/// Adds 1 to its leaf. Outputs: what it was, and what it is.
const Op count_op{.name = "count_up",
                  .shape =
                      [](ShapeContext& c) {
                        c.output(c.input(0), c.dtype());
                        c.output(c.input(0), c.dtype());
                      },
                  .traits = {.mutates = 0b1},
                  .cpu = {.forward = [](const ForwardContext& c) {
                    for (int64_t i = 0; i < c.input(0).size(); ++i) {
                      float& x = c.input(0).as<float>()[i];
                      c.output(0).as<float>()[i] = x;
                      c.output(1).as<float>()[i] = x += 1;
                    }
                  }}};

/// Subtracts input 1 from its leaf, input 0, row by row.
const Rowwise subtract_rows{
    .extent =
        [](const ForwardContext& c) {
          const Shape& shape = c.input(0).shape;
          return RowExtent{.count = shape[0], .width = shape[1], .range = 16, .inputs = 0b11};
        },
    .rows =
        [](const ForwardContext& c, int64_t begin, int64_t end) {
          const int64_t width = c.input(0).shape[1];
          for (int64_t i = begin * width; i < end * width; ++i) {
            c.input(0).as<float>()[i] -= c.input(1).as<const float>()[i];
          }
        }};
const Op subtract_op{.name = "subtract_in_rows",
                     .shape = [](ShapeContext& c) { c.output({0}, DType::float64); },
                     .traits = {.mutates = 0b1},
                     .cpu = {.rowwise = &subtract_rows}};

const Op refuse_op{.name = "refuse",
                   .shape = [](ShapeContext& c) { return c.input(0); },
                   .cpu = {.forward = [](const ForwardContext&) { throw Error("it fails"); }}};

float first(const Var& v) { return v.value().to_vector<float>()[0]; }

/// Runs a test with every kind of executor.
class Executors {
 public:
  explicit Executors(bool guard = false)
      : executor_({.threads = GENERATE(1, 2),
                   .parallel_from = 0,
                   .guard = guard,
                   .check_plans = true,
                   .reference = GENERATE(false, true)}),
        use_(executor_) {}

 private:
  Executor executor_;
  Executor::Use use_;
};

TEST_CASE("an update runs once, however often what it makes is asked for") {
  const Executors all;
  const Tensor counter = full({2}, 0);
  Tape tape;
  const Var before = record(count_op, {as_var(counter)}), after = before.output(1);
  CHECK(sum(before + 1).item() == 2);
  CHECK(sum(before + 5).item() == 10);
  CHECK(sum(after).item() == 2);
  CHECK(first(after) == 1);
  CHECK(counter.data<float>()[0] == 1);
}

TEST_CASE("leaves that are asked for with an update are as they were before it") {
  const Executors all;
  Parameter p(full({2}, 1));
  Sgd sgd({p}, {.lr = 0.5});
  Tape tape;
  const Var w = as_var(p), view = reshape(w, {2, 1});
  sgd.step(sum(w * 2), {w, view});
  CHECK(first(w) == 1);
  CHECK(first(view) == 1);
  CHECK(p.value().data<float>()[0] == 0);
}

TEST_CASE("several updates of one leaf run in turn, each between its readers") {
  const Executors all;
  const Tensor counter = full({4}, 0);
  Tape tape;
  const Var c = as_var(counter);
  std::vector<Var> wanted;
  for (int i = 0; i < 40; ++i) {
    wanted.push_back(sum(reshape(c, {2, 2}) * 2));
    wanted.push_back(sum(c));
    wanted.push_back(sum(record(count_op, {c})));
  }
  Executor::current().run(wanted);
  for (size_t i = 0; i < wanted.size(); ++i) {
    CHECK(wanted[i].item() == static_cast<double>(i / 3 * (i % 3 == 0 ? 8 : 4)));
  }
  CHECK(counter.data<float>()[3] == 40);
}

TEST_CASE("what other Vars of an updated tensor hold stays as it was") {
  const Executors all;
  for (const int64_t n : {10, 100000}) {  // copied when it is recorded, and not
    const Tensor counter = full({n}, 0);
    Tape tape;
    const Var updated = as_var(counter), seen = as_var(counter);
    const Var before = sum(seen * 2), update = record(count_op, {updated});
    const Var recorded_after = sum(as_var(counter) * 2);
    Executor::current().run({update, before, recorded_after});
    CHECK(before.item() == 0);
    CHECK(recorded_after.item() == 0);
    CHECK(sum(seen * 3).item() == 0);
    CHECK(sum(updated * 3).item() == 3 * static_cast<double>(n));
    CHECK(counter.data<float>()[0] == 1);
    // Two Vars that are both written to would not know of each other.
    CHECK_THROWS_WITH(record(count_op, {seen}), Contains("through another Var of it"));
  }
}

TEST_CASE("a large parameter's tensor in the loss keeps its values while the step updates it") {
  const Executors all;
  Parameter p(full({200, 100}, 1)), q(full({200, 100}, 3));
  Sgd sgd({q, p}, {.lr = 1});
  Tape tape;
  const Var held = as_var(q.value());
  const Var loss = sum(p * held) + sum(q * 5);
  sgd.step(loss, {held});
  CHECK(p.value().data<float>()[0] == -2);
  CHECK(q.value().data<float>()[0] == -2);
  CHECK(first(held) == 3);
  CHECK(sum(held * 2).item() == 6 * 20000);
}

TEST_CASE("an update that works row by row waits for what feeds it, and is in no chain") {
  const Executors all;
  const Tensor state = full({512, 64}, 0);
  Tape tape;
  const Var x = as_var(full({512, 64}, 0.5)), y = softmax(tanh(softmax(x)));
  const Var update = record(subtract_op, {as_var(state), y});
  Executor::current().run({update});
  for (const float f : state.data<float>()) REQUIRE(f == Approx(-1.0 / 64));
}

TEST_CASE("after an update, a step that fails leaves parameters that count as changed") {
  Executor executor({.threads = GENERATE(1, 2), .parallel_from = 0});
  const Executor::Use use(executor);
  Parameter p(full({2}, 1));
  Tape tape;
  const Var w = as_var(p), other = w * 3;
  const Var update = record(count_op, {w}), late = record(refuse_op, {w * 2});
  CHECK_THROWS_WITH(executor.run({update, late}), Contains("it fails"));
  CHECK(p.value().data<float>()[0] == 2);
  CHECK_THROWS_WITH(other.value(), Contains("has changed since"));
}

TEST_CASE("the guard finds what is not finite before parameters change") {
  const Executors all(true);
  Parameter p(full({2}, -1));
  Sgd sgd({p}, {.lr = 0.5});
  Tape tape;
  const Var h = exp(p * 1.0);
  (void)h.value();
  (void)sum(h).item();
  CHECK_THROWS_WITH(sgd.step(sum(log(as_var(p)) * h)), Contains("log: the result [2] holds a NaN"));
  CHECK(p.value().data<float>()[0] == -1);
}

TEST_CASE("values that were computed before are there after their parameters changed") {
  const Executors all;
  Parameter p(full({2}, 0));
  Sgd sgd({p}, {.lr = 0.5});
  Tape tape;
  const Var h = exp(as_var(p));
  (void)h.value();
  (void)(h + 1).value();
  sgd.step(sum(as_var(p) * 2));
  CHECK(sum(h * 2).item() == 4);
}

TEST_CASE("the reference refuses a large tensor that was filled again") {
  const Executors all;
  const Tensor buffer = full({100, 1000}, 1);
  Tape tape;
  const Var loss = sum(as_var(buffer));
  for (float& x : buffer.data<float>()) x = 2;
  CHECK_THROWS_WITH(loss.item(), Contains("that was recorded has been written to"));
}

TEST_CASE("records that cannot be are refused, with their line") {
  static const Op beyond_op{.name = "beyond",
                            .shape = [](ShapeContext& c) { c.output({0}, c.dtype()); },
                            .traits = {.mutates = 0x80000001u},
                            .cpu = {.forward = [](const ForwardContext&) {}}};
  static const Op many_op{.name = "many",
                          .shape =
                              [](ShapeContext& c) {
                                for (int i = 0; i < 65536; ++i) c.output({}, c.dtype());
                              },
                          .cpu = {.forward = [](const ForwardContext&) {}}};
  const Tensor strided = full({3, 2}, 0);
  Tape tape;
  const Var x = as_var(full({2}, 0));
  CHECK_THROWS_WITH(record(beyond_op, {x}),
                    Contains("writes to input 31") && Contains("updates_test.cpp"));
  CHECK_THROWS_WITH(record(many_op, {x}),
                    Contains("more than 65535 outputs") && Contains("updates_test.cpp"));
  const Tensor turned(strided.memory(), strided.bytes(), DType::float32, {2, 3}, Strides{1, 2});
  CHECK_THROWS_WITH(record(count_op, {as_var(turned)}), Contains("has strides"));
  CHECK_THROWS_WITH(record(count_op, {x * 2}), Contains("only a leaf can be written to"));
}

TEST_CASE("work on both sides of an update is not made in one step") {
  const Executors all;
  const Tensor weight = full({4, 4}, 1);
  Tape tape;
  const Var w = as_var(weight), x = as_var(full({4, 4}, 1));
  const Var product = matmul(x, w), twice = w * 2;
  const Var update = record(count_op, {w});
  const Var sums = product + cumsum(w, 0), both = twice + w * 3;
  Executor::current().run({sums, both, update});
  CHECK(first(sums) == 4 + 2);
  CHECK(first(both) == 2 + 6);
}

}  // namespace
}  // namespace rapt
