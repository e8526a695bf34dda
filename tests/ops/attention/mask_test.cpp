#include "ops/attention/mask.hpp"

#include <limits>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

Tensor booleans(const std::vector<int32_t>& values, const Shape& shape) {
  return tensor(values, shape).to(DType::boolean);
}

/// The mask for every sentence, query and key: 0 or 1, in row-major order.
std::vector<int32_t> spread(const Mask& mask, int64_t batch, int64_t queries, int64_t keys) {
  const Var small = as_boolean(mask, as_var(0).graph(), batch, queries, keys);
  REQUIRE(small.dtype() == DType::boolean);
  return contiguous(broadcast_to(small, {batch, 1, queries, keys})).value().to_vector<int32_t>();
}

TEST_CASE("a mask without limits lets everything through") {
  Tape tape;
  CHECK(Mask{}.limits_nothing());
  CHECK(spread({}, 1, 2, 3) == std::vector<int32_t>(6, 1));
}

TEST_CASE("causal masks put the last query at the last key") {
  Tape tape;
  CHECK_FALSE(causal().limits_nothing());
  CHECK(spread(causal(), 1, 3, 3) == std::vector<int32_t>{1, 0, 0, 1, 1, 0, 1, 1, 1});
  CHECK(spread(causal(), 1, 2, 4) == std::vector<int32_t>{1, 1, 1, 0, 1, 1, 1, 1});
  CHECK(spread(causal(), 1, 3, 1) == std::vector<int32_t>{0, 0, 1});
}

TEST_CASE("lengths and keeps, alone and joined") {
  Tape tape;
  const Var some = as_var(tensor({int32_t{2}, int32_t{0}}));
  CHECK(spread(lengths(some), 2, 1, 3) == std::vector<int32_t>{1, 1, 0, 0, 0, 0});
  const Tensor keys = booleans({1, 0, 1, 1, 1, 0}, {2, 3});
  CHECK(spread(keep(keys), 2, 1, 3) == std::vector<int32_t>{1, 0, 1, 1, 1, 0});
  CHECK(spread(lengths(some) & keep(keys), 2, 1, 3) == std::vector<int32_t>{1, 0, 0, 0, 0, 0});
  const Tensor pairs = booleans({1, 1, 1, 0, 1, 0}, {1, 2, 3});
  CHECK(spread(keep(pairs), 1, 2, 3) == std::vector<int32_t>{1, 1, 1, 0, 1, 0});
  CHECK(spread(causal() & keep(pairs), 1, 2, 3) == std::vector<int32_t>{1, 1, 0, 0, 1, 0});
  CHECK(spread(keep(keys) & keep(pairs), 2, 2, 3) ==
        std::vector<int32_t>{1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0});
  const Var more = as_var(tensor({int32_t{1}, int32_t{3}}));
  CHECK(spread(lengths(some) & lengths(more), 2, 1, 3) == std::vector<int32_t>{1, 0, 0, 0, 0, 0});
  CHECK(spread(Mask{} & causal(), 1, 2, 2) == std::vector<int32_t>{1, 0, 1, 1});
}

TEST_CASE("a window holds the keys on both sides, with causal those before") {
  Tape tape;
  CHECK(spread(sliding_window(1), 1, 3, 3) == std::vector<int32_t>{1, 1, 0, 1, 1, 1, 0, 1, 1});
  CHECK(spread(sliding_window(0), 1, 2, 2) == std::vector<int32_t>{1, 0, 0, 1});
  // Two queries at the last two of four keys.
  CHECK(spread(sliding_window(1), 1, 2, 4) == std::vector<int32_t>{0, 1, 1, 1, 0, 0, 1, 1});
  CHECK(spread(sliding_window(1) & causal(), 1, 3, 3) ==
        std::vector<int32_t>{1, 0, 0, 1, 1, 0, 0, 1, 1});
  CHECK((sliding_window(3) & sliding_window(1)).window == 1);
  CHECK_THROWS_WITH(sliding_window(-2), Contains("got -2"));
}

TEST_CASE("all see the prefix, the rest is causal") {
  Tape tape;
  CHECK(spread(prefix(2), 1, 3, 4) == std::vector<int32_t>{1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1});
  const Tensor each = tensor<int32_t>({0, 3});
  CHECK(spread(prefix(each), 2, 2, 3) == std::vector<int32_t>{1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  CHECK(spread(prefix(2) & causal(), 1, 2, 2) == std::vector<int32_t>{1, 0, 1, 1});
  CHECK(spread(prefix(2) & prefix(1), 1, 2, 2) == std::vector<int32_t>{1, 0, 1, 1});
  CHECK_THROWS_WITH(prefix(zeros({2})), Contains("prefix int32 [B], got float32 [2]"));
}

TEST_CASE("a query sees the keys of its document") {
  Tape tape;
  const Tensor own = tensor<int32_t>({4, 4, 9}, {1, 3});
  CHECK(spread(documents(own), 1, 3, 3) == std::vector<int32_t>{1, 1, 0, 1, 1, 0, 0, 0, 1});
  const Tensor others = tensor<int32_t>({9, 4}, {1, 2});
  CHECK(spread(documents(own, others), 1, 3, 2) == std::vector<int32_t>{0, 1, 0, 1, 1, 0});
  CHECK(spread(documents(own) & documents(tensor<int32_t>({1, 2, 2}, {1, 3})), 1, 3, 3) ==
        std::vector<int32_t>{1, 0, 0, 0, 1, 0, 0, 0, 1});
  CHECK_THROWS_WITH(documents(tensor<int32_t>({1, 2})), Contains("documents int32 [B, T]"));
}

TEST_CASE("biases are added, and hide where they are minus infinity") {
  Tape tape;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const Tensor bias = tensor<float>({0.5f, -infinity, 2}, {1, 3});
  CHECK(spread(additive(bias), 1, 2, 3) == std::vector<int32_t>{1, 0, 1, 1, 0, 1});
  const Var scores = as_var(tensor<float>({1, 2, 3, 4, 5, 6}, {1, 2, 3}));
  const Mask mask = additive(bias) & additive(1.0f) & causal();
  CHECK(masked(scores, mask).value().to_vector<float>() ==
        std::vector<float>{2.5f, -infinity, -infinity, 5.5f, -infinity, 9});
  CHECK(masked(scores, Mask{}).value().to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK_THROWS_WITH(additive(zeros({2}, DType::int32)), Contains("float bias"));
  CHECK_THROWS_WITH(masked(zeros({3, 3}), causal()), Contains("[B, Tq, Tk]"));
}

TEST_CASE("heads may have masks of their own") {
  Tape tape;
  const Tensor heads = booleans({1, 0, 0, 1}, {1, 2, 1, 2});
  const Var mask = as_boolean(keep(heads), as_var(0).graph(), 3, 2, 2);
  CHECK(mask.shape() == Shape{1, 2, 1, 2});
}

TEST_CASE("errors of masks name types and shapes") {
  Tape tape;
  Graph& graph = tape.graph();
  CHECK_THROWS_WITH(
      lengths(zeros({2})),
      Contains("mask: expected lengths int32 [B], got float32 [2]") && Contains("mask_test.cpp"));
  CHECK_THROWS_WITH(lengths(zeros({2, 1}, DType::int32)), Contains("int32 [2, 1]"));
  CHECK_THROWS_WITH(keep(zeros({2, 3})), Contains("boolean [B, Tk]") && Contains("float32 [2, 3]"));
  CHECK_THROWS_WITH(keep(zeros({3}, DType::boolean)), Contains("boolean [3]"));
  CHECK_THROWS_WITH(as_boolean(lengths(zeros({2}, DType::int32)), graph, 3, 1, 1),
                    Contains("2 lengths for a batch of 3"));
  CHECK_THROWS_WITH(as_boolean(keep(zeros({2, 3}, DType::boolean)), graph, 2, 1, 4),
                    Contains("[2, 1, 1, 3] does not fit") && Contains("4 keys"));
}

}  // namespace
}  // namespace rapt
