// Recording: shapes and types checked at the user's line, handles that know when they are stale.
#include <rapt/rapt.hpp>
#include <thread>

#include "catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

std::string line_below(int line) { return "tape_test.cpp:" + std::to_string(line + 1); }

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
  CHECK_THROWS_WITH(matmul(a, b), Contains("matmul") && Contains("[64, 128] x [256, 512]") &&
                                      EndsWith(line_below(line)));
  const int sum_line = __LINE__;
  CHECK_THROWS_WITH(a + b, Contains("add") && Contains("[64, 128] and [256, 512]") &&
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
  CHECK_THROWS_WITH(model.decoder.attention(x), Contains("linear") &&
                                                    Contains("; at decoder/attention/query, ") &&
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

}  // namespace
}  // namespace rapt
