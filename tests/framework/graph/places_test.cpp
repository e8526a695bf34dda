// Where an error says that the mistake is: the layer, the user's line, and the line of the call.
#include <rapt/rapt.hpp>

#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

std::string line(int number) { return "places_test.cpp:" + std::to_string(number); }

int mistake = 0;

struct Scores {
  Linear q, k;
  explicit Scores(Key key) : q(8, 8, key.fold(0)), k(8, 4, key.fold(1)) {}
  Var operator()(const Arg& x) const {
    const Scope scope(*this, x.where);
    const Var a = q(x), b = k(x);
    mistake = __LINE__ + 1;
    return matmul(a, transpose(b));
  }
  void visit(auto&& f) {
    f("q", q);
    f("k", k);
  }
};

struct Block {
  Scores scores;
  explicit Block(Key key) : scores(key) {}
  Var operator()(const Arg& x) const {
    const Scope scope(*this, x.where);
    return softmax(scores(x));
  }
  void visit(auto&& f) { f("scores", scores); }
};

struct Model {
  std::vector<Block> blocks;
  void visit(auto&& f) { f("blocks", blocks); }
};

TEST_CASE("an error within layers has the line of the mistake and that of the outermost call") {
  Model model{{Block(Key{1})}};
  (void)parameters(model);
  Tape tape;
  const int call = __LINE__ + 1;
  const auto at_call = [&] { (void)model.blocks[0](zeros({2, 3, 8})); };
  CHECK_THROWS_WITH(at_call(),
                    Contains("matmul: ") && EndsWith("; at blocks/0/scores, " + line(mistake) +
                                                     ", called at " + line(call)));
}

struct Deep {
  Linear first{8, 6, Key{1}}, second{5, 5, Key{2}};
  Var operator()(const Arg& x) const {
    const Scope scope(*this, x.where);
    const Var a = first(x);
    mistake = __LINE__ + 1;
    return second(a);
  }
  void visit(auto&& f) {
    f("first", first);
    f("second", second);
  }
};

struct Scaled {
  Parameter scale{full({3}, 2)};
  Var operator()(const Arg& x) const {
    const Scope scope(*this, x.where);
    mistake = __LINE__ + 1;
    return x * scale;
  }
  void visit(auto&& f) { f("scale", scale); }
};

TEST_CASE("an error in a layer of rapt's has the line where the user's layer called it") {
  Model model{{Block(Key{1})}};
  (void)parameters(model);
  std::vector<Deep> deep(1);
  (void)parameters(deep);
  Tape tape;
  const int there = __LINE__ + 1;
  const auto at_there = [&] { (void)deep[0](zeros({2, 8})); };
  CHECK_THROWS_WITH(at_there(), Contains("linear: ") && EndsWith("; at 0/second, " + line(mistake) +
                                                                 ", called at " + line(there)));
  const int scaled = __LINE__ + 1;
  const auto at_scaled = [&] { (void)Scaled()(zeros({2})); };
  CHECK_THROWS_WITH(at_scaled(), Contains("mul: ") && EndsWith("; at " + line(mistake) +
                                                               ", called at " + line(scaled)));
  // What a layer hands on as it was given has the line of whoever gave it.
  const int call = __LINE__ + 1;
  const auto at_call = [&] { (void)model.blocks[0](zeros({2, 3, 7})); };
  CHECK_THROWS_WITH(at_call(),
                    Contains("linear: ") && EndsWith("; at blocks/0/scores/q, " + line(call)));
  const int own = __LINE__ + 1;
  const auto at_own = [&] { (void)model.blocks[0].scores.q(zeros({2, 3, 7})); };
  CHECK_THROWS_WITH(at_own(), EndsWith("; at blocks/0/scores/q, " + line(own)));
  // Functions made of several operators have no lines of their own.
  const int composed = __LINE__ + 1;
  CHECK_THROWS_WITH(mse_loss(zeros({2}), zeros({3})), EndsWith("; at " + line(composed)));
}

const Op ruleless{.name = "ruleless",
                  .shape = [](ShapeContext& c) { return c.input(0); },
                  .cpu = {.forward = [](const ForwardContext&) {}}};

struct Ruleless {
  Parameter w{full({2}, 1)};
  Var operator()(const Arg& x) const {
    const Scope scope(*this, x.where);
    mistake = __LINE__ + 1;
    return record(ruleless, {w * x});
  }
  void visit(auto&& f) { f("w", w); }
};

TEST_CASE("an error in a gradient has the place of the operator that it belongs to") {
  std::vector<Ruleless> layers(1);
  (void)parameters(layers);
  Tape tape;
  const int call = __LINE__ + 1;
  const Var loss = sum(layers[0](full({2}, 3)));
  const auto at_call = [&] { (void)grad(loss, parameters(layers)); };
  CHECK_THROWS_WITH(at_call(), Contains("ruleless has no gradient rule; at 0, " + line(mistake) +
                                        ", called at " + line(call)));
}

TEST_CASE("a scope that outlives a tape tells the next tape's place") {
  std::vector<Ruleless> layers(1);
  (void)parameters(layers);
  const Scope scope(layers[0], SourceLocation::current());
  for (int i = 0; i < 3; ++i) {
    Tape tape;
    const Scope inner(SourceLocation::current());
    CHECK_THROWS_WITH(as_var(zeros({2})) + zeros({3}), Contains("; at 0, places_test.cpp:"));
  }
}

TEST_CASE("a value that is asked for too late names the line that asks") {
  Var kept;
  Tensor value;
  {
    Tape tape;
    kept = as_var(full({}, 1)) * 2;
    value = kept.value();
  }
  Tape tape;
  const Var loss = as_var(full({}, 3));
  const std::string ended = "a Var was used after its Tape ended; keep value() instead; at ";
  const int total = __LINE__ + 1;
  CHECK_THROWS_WITH(kept + loss, Contains(ended) && EndsWith(line(total)));
  const int item = __LINE__ + 1;
  CHECK_THROWS_WITH(kept.item(), Contains(ended) && EndsWith(line(item)));
  const int shape = __LINE__ + 1;
  CHECK_THROWS_WITH(kept.shape(), Contains(ended) && EndsWith(line(shape)));
  const int empty = __LINE__ + 1;
  CHECK_THROWS_WITH(Var().value(), Contains("holds nothing") && EndsWith(line(empty)));
  CHECK((value.item() + loss).item() == 5);
}

TEST_CASE("a parameter that has changed is named where the user's layer read it") {
  Block block(Key{2});
  (void)parameters(block);
  Tape tape;
  const int call = __LINE__ + 1;
  const Var y = sum(block.scores.q(zeros({1, 8})));
  block.scores.q.weight.set(zeros({8, 8}));
  CHECK_THROWS_WITH(y.item(), Contains("'scores/q/weight' has changed") && Contains(line(call)));
}

TEST_CASE("lists without an array name the user's line") {
  Tape tape;
  const std::vector<Var> none;
  const int first = __LINE__ + 1;
  CHECK_THROWS_WITH(concat(none, 0), Contains("concat: ") && EndsWith(line(first)));
  const int second = __LINE__ + 1;
  CHECK_THROWS_WITH(stack(none, 0), Contains("stack: ") && EndsWith(line(second)));
}

}  // namespace
}  // namespace rapt
