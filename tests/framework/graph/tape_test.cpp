// Recording: shapes and types checked at the user's line, handles that know when they are stale.
#include <functional>
#include <rapt/rapt.hpp>
#include <thread>

#include "framework/graph/graph.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

std::string line_below(int line) { return "tape_test.cpp:" + std::to_string(line + 1); }

/// What calling this says when it fails. The call is a lambda of one line: within a macro of
/// several lines, compilers disagree about the number of a line.
std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_CASE("values are computed when somebody asks") {
  Tape tape;
  const Var x = as_var(tensor<float>({1, 2, 3}));
  const Var y = x * 2 + 1;
  CHECK(y.shape() == Shape{3});
  CHECK(y.dtype() == DType::float32);
  CHECK(y.value().to_vector<float>() == std::vector<float>{3, 5, 7});
  CHECK(sum(y).item() == 15);
}

TEST_CASE("a plain number takes the other operand's type") {
  Tape tape;
  CHECK((as_var(zeros({2}, DType::float64)) + 1).dtype() == DType::float64);
  CHECK((1 - as_var(zeros({2}, DType::int32))).dtype() == DType::int32);
  CHECK((as_var(1.5) * 2).item() == 3);
}

TEST_CASE("an error names operator, shapes and the user's line") {
  Tape tape;
  const Var a = as_var(zeros({64, 128})), b = as_var(zeros({256, 512}));
  const int line = __LINE__;
  const std::string of_matmul = message_of([&] { matmul(a, b); });
  CHECK_THAT(of_matmul, Contains("matmul") && Contains("[64, 128] x [256, 512]") &&
                            EndsWith(line_below(line)));
  const int sum_line = __LINE__;
  const std::string of_sum = message_of([&] { a + b; });
  CHECK_THAT(of_sum, Contains("add") && Contains("[64, 128] and [256, 512]") &&
                         EndsWith(line_below(sum_line)));
  CHECK_THROWS_WITH(a * as_var(zeros({64, 128}, DType::float64)), Contains("float32 and float64"));
}

struct Inner {
  Linear query;
  Var operator()(const Arg& x) const {
    const Scope scope(*this, x.where);
    return query(x);
  }
  void visit(auto&& f) { f("query", query); }
};

struct Outer {
  Inner attention;
  Dropout dropout;  // a layer without parameters
  void visit(auto&& f) { f("attention", attention); }
};

struct Model {
  Outer decoder{{Linear(128, 512, Key{1})}, {}};
  void visit(auto&& f) { f("decoder", decoder); }
};

TEST_CASE("an error in a layer names the layer's path and the line that called the outermost one") {
  Model model;
  CHECK(parameters(model)[0].name() == "decoder/attention/query/weight");
  Tape tape;
  const Var x = as_var(zeros({2, 77}));
  const int line = __LINE__;
  const std::string message = message_of([&] { model.decoder.attention(x); });
  CHECK_THAT(message, Contains("linear") && Contains("; at decoder/attention/query, ") &&
                          EndsWith(line_below(line)));
}

TEST_CASE("what failed to record leaves the tape as it was") {
  Tape tape;
  const Var x = as_var(tensor<float>({1, 2}));
  const Var long_one = as_var(zeros({3}));
  const size_t before = tape.size();
  CHECK_THROWS_AS(x + long_one, Error);
  CHECK(tape.size() == before);
  CHECK(sum(x * 2).item() == 6);
}

TEST_CASE("handles know when their tape is gone, or another one") {
  Var stale;
  {
    Tape tape;
    stale = as_var(1.0);
  }
  CHECK_THROWS_WITH(stale.shape(), Contains("after its Tape ended"));
  CHECK_THROWS_WITH(as_var(1.0), Contains("no tape"));
  CHECK_THROWS_WITH(Var().shape(), Contains("holds nothing"));
  Tape outer;
  const Var a = as_var(1.0);
  {
    Tape inner;
    CHECK_THROWS_WITH(a + as_var(2.0), Contains("different tapes"));
    CHECK(as_var(3.0).item() == 3);
  }
  CHECK((a + 1).item() == 2);
}

TEST_CASE("a parameter is one leaf however often it is used, and stale values are refused") {
  Linear layer(2, 2, Key{1});
  (void)parameters(layer);
  Tape tape;
  CHECK(as_var(layer.weight).id() == as_var(layer.weight).id());
  const Var y = sum(layer.weight * 2.0);
  layer.weight.set(zeros({2, 2}));
  CHECK_THROWS_WITH(y.value(), Contains("weight") && Contains("has changed since"));
}

TEST_CASE("random operators need a tape for training") {
  Tape tape;
  CHECK_THROWS_WITH(tape.graph().key(SourceLocation::current()), Contains("Training"));
  CHECK(dropout(as_var(full({9}, 2)), 0.5).value().to_vector<float>() == std::vector<float>(9, 2));
}

TEST_CASE("size and output check their index") {
  Tape tape;
  const Var x = as_var(zeros({2, 3}));
  CHECK(x.size(-1) == 3);
  CHECK_THROWS_WITH(x.size(2), Contains("no axis 2 in [2, 3]"));
  CHECK_THROWS_WITH((x + 1).output(1), Contains("add") && Contains("output 1"));
}

TEST_CASE("an operand keeps what it was made of") {
  std::vector<Arg> parts;
  for (int i = 0; i < 3; ++i) parts.emplace_back(full({100}, i));  // the tensors are gone
  Tape tape;
  CHECK(sum(concat(parts, 0)).item() == 300);
}

TEST_CASE("an empty Var is no number") {
  Tape tape;
  const Var x = as_var(full({2, 3}, 1)), nothing;
  CHECK_THROWS_WITH(x + nothing, Contains("holds nothing"));
  CHECK(linear(x, full({4, 3}, 1), nothing).value().data<float>()[7] == 3);
}

TEST_CASE("shapes that cannot be counted are refused") {
  CHECK_THROWS_WITH(Tensor({274177, 67280421310721}), Contains("too many elements"));
  CHECK_THROWS_AS(Tensor({int64_t{1} << 62}), Error);
  CHECK_THROWS_WITH(Shape({3, -1}), Contains("negative"));
  Tape tape;
  const Var x = as_var(full({1, 1}, 1));
  CHECK_THROWS_AS(sum(broadcast_to(x, {int64_t{1} << 40, int64_t{1} << 40})).item(), Error);
}

TEST_CASE("an incomplete operator is refused when it is recorded") {
  static const Op nothing{};
  static const Op shapeless{
      .name = "shapeless", .shape = ShapeRule(), .cpu = {.forward = [](const ForwardContext&) {}}};
  static const Op idle{.name = "idle", .shape = [](ShapeContext& c) { return c.input(0); }};
  static const Op silent{.name = "silent",
                         .shape = [](ShapeContext&) {},
                         .cpu = {.forward = [](const ForwardContext&) {}}};
  static const Op greedy_op{.name = "greedy",
                            .shape = [](ShapeContext& c) { return c.input(5); },
                            .cpu = {.forward = [](const ForwardContext&) {}}};
  Tape tape;
  const Var x = as_var(1.0);
  CHECK_THROWS_WITH(record(nothing, {x}), Contains("no shape rule"));
  CHECK_THROWS_WITH(record(shapeless, {x}), Contains("shapeless") && Contains("shape rule"));
  CHECK_THROWS_WITH(record(idle, {x}), Contains("idle") && Contains("no forward"));
  CHECK_THROWS_WITH(record(silent, {x}), Contains("silent: its shape rule declares no output"));
  CHECK_THROWS_WITH(record(greedy_op, {x}), Contains("greedy") && Contains("input 5 of 1"));
}

TEST_CASE("functions of real numbers and of truth values say what they take") {
  Tape tape;
  const Var ids = as_var(full({2}, 3, DType::int32));
  CHECK_THROWS_WITH(exp(ids), Contains("exp: needs float32 or float64, got int32"));
  CHECK_THROWS_WITH(ids * 0.5, Contains("0.5 is no int32"));
  CHECK_THROWS_WITH(logical_not(as_var(1.0)), Contains("boolean"));
}

TEST_CASE("a handle may outlive its thread") {
  Var stale;
  std::thread([&] {
    Tape inner;
    stale = as_var(1.0);
  }).join();
  CHECK_THROWS_WITH(stale.shape(), Contains("after its Tape ended"));
}

TEST_CASE("tapes may end in any order") {
  auto first = std::make_unique<Tape>();
  auto second = std::make_unique<Tape>();
  first.reset();
  CHECK((as_var(2.0) * 2).item() == 4);
  second.reset();
  CHECK_THROWS_WITH(as_var(1.0), Contains("no tape"));
}

TEST_CASE("parameters know what they lack") {
  CHECK_THROWS_AS(Parameter().value(), Error);
  CHECK_THROWS_AS(Parameter(Tensor()), Error);
  Tape tape;
  const Tensor swapped =
      transpose(as_var(tensor<float>(std::vector<float>{1, 2, 3, 4}, {2, 2}))).value();
  CHECK((Parameter(swapped) * 1.0).value().to_vector<float>() == std::vector<float>{1, 3, 2, 4});
}

TEST_CASE("tapes of different threads do not see each other") {
  Tape tape;
  const Var x = as_var(5.0);
  double other = 0;
  std::thread([&] {
    Tape inner;
    other = (as_var(2.0) * 3).item();
  }).join();
  CHECK(other == 6);
  CHECK((x + 1).item() == 6);
}

TEST_CASE("a tape may end in another thread than it began in") {
  auto outer = std::make_unique<Tape>();
  auto inner = std::make_unique<Tape>();
  const Var x = as_var(full({}, 1));
  std::thread([&] {
    Tape own;  // of this thread, which must not be handed to the other
    inner.reset();
    CHECK(Graph::current() == &own.graph());
    CHECK((as_var(2) * 3).item() == 6);
  }).join();
  // The tape around it is the current one again; what began on the inner one has ended.
  CHECK(Graph::current() == &outer->graph());
  CHECK_THROWS_WITH(x + 1, Contains("after its Tape ended"));
  CHECK((as_var(2) * 3).item() == 6);
  std::thread([&] { outer.reset(); }).join();
  CHECK(Graph::current() == nullptr);
  CHECK_THROWS_WITH(as_var(2), Contains("there is no tape"));
  // The graphs are used again, by one tape each.
  Tape first, second, third;
  CHECK(&first.graph() != &second.graph());
  CHECK(&second.graph() != &third.graph());
  CHECK(&first.graph() != &third.graph());
  CHECK(third.size() == 0);
}

TEST_CASE("a tape may outlive its thread") {
  std::unique_ptr<Tape> tape;
  std::thread([&] {
    tape = std::make_unique<Tape>();
    (void)(as_var(2) * 3);
  }).join();
  CHECK(tape->size() == 3);
  Graph* const graph = &tape->graph();
  tape.reset();
  // Its graph is in the common pool, and is taken from there.
  bool taken = false;
  std::thread([&] {
    std::vector<std::unique_ptr<Tape>> tapes;
    for (int i = 0; i < 100 && !taken; ++i) {
      tapes.push_back(std::make_unique<Tape>());
      taken = &tapes.back()->graph() == graph;
    }
    while (!tapes.empty()) tapes.pop_back();
  }).join();
  CHECK(taken);
}

}  // namespace
}  // namespace rapt
