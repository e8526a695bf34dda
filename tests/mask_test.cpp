#include <rapt/framework/error.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/mask.hpp>
#include <rapt/ops/shape.hpp>

#include "catch.hpp"

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
