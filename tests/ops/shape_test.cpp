// Views and pieces: what costs nothing, what a backward pass records, and errors.
#include "ops/shape/shape.hpp"

#include <numeric>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/index.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;
using Values = std::vector<float>;

/// 0, 1, 2, ... in a shape.
Tensor counted(const Shape& shape) {
  Tensor result(shape);
  std::iota(result.data<float>().begin(), result.data<float>().end(), 0.0f);
  return result;
}

/// Returns the rule that sums a result with others of its operator, or null.
const SumRule* sum_rule_of(const Var& result) {
  const Graph& graph = result.graph();
  const Op* op = graph.nodes[graph.values[result.id()].node].op;
  const SumRule* rule = op == nullptr ? nullptr : op->sum_rule;
  return rule != nullptr && rule->applies(result) ? rule : nullptr;
}

Values values_of(const Var& var) { return var.value().to_vector<float>(); }

/// What a plan for the values runs, by name.
std::vector<std::string_view> steps(std::span<const Var> targets) {
  std::vector<std::string_view> names;
  for (const Plan::Step& step : Executor::current().plan(targets)->steps) {
    names.push_back(step.op->name);
  }
  return names;
}

std::vector<std::string_view> steps(const Var& target) { return steps(std::span(&target, 1)); }

using Names = std::vector<std::string_view>;

TEST_CASE("views run no kernel") {
  Tape tape;
  const Var x = as_var(counted({2, 3, 4}));
  CHECK(steps(reshape(x, {6, 4})).empty());
  CHECK(steps(reshape(transpose(x, 0, 1), {3, 2, 2, 2})).empty());
  CHECK(steps(reshape(slice(x, 1, 0, 2), {2, 2, 4, 1})).empty());
  CHECK(steps(permute(unsqueeze(select(x, 1, 2), 0), {2, 1, 0})).empty());
  CHECK(steps(broadcast_to(squeeze(slice(x, 2, 1, 2), -1), {5, 2, 3})).empty());
  CHECK(steps(split(x, 2, 2)[1]).empty());
}

TEST_CASE("reshape copies only what no strides describe") {
  Tape tape;
  const Var x = as_var(counted({2, 3, 4}));
  CHECK(steps(reshape(transpose(x), {2, 12})) == Names{"contiguous"});
  CHECK(steps(reshape(slice(x, 1, 0, 2), {16})) == Names{"contiguous"});
  CHECK(steps(reshape(slice(x, 0, 1, 2), {12})).empty());
  const Values second{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
  CHECK(values_of(reshape(slice(x, 0, 1, 2), {12})) == second);
  CHECK(values_of(reshape(broadcast_to(as_var(counted({2})), {2, 2}), {4})) == Values{0, 1, 0, 1});
}

TEST_CASE("contiguous gives x itself where nothing is to be done") {
  Tape tape;
  const Var x = as_var(counted({3, 4}));
  CHECK(contiguous(x).id() == x.id());
  const Var row = select(x, 0, 1);
  CHECK(contiguous(row).id() == row.id());
  CHECK(contiguous(transpose(x)).id() != x.id());
  CHECK(values_of(contiguous(transpose(x))) == Values{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
}

TEST_CASE("shapes without elements") {
  Tape tape;
  const Var x = as_var(Tensor({3, 0}));
  CHECK(reshape(x, {0, 7}).shape() == Shape{0, 7});
  CHECK(reshape(x, {3, -1}).shape() == Shape{3, 0});
  CHECK(values_of(contiguous(transpose(x))).empty());
  CHECK(concat({x, x}, 1).value().shape() == Shape{3, 0});
  CHECK(slice(as_var(counted({3, 2})), 0, 3).value().shape() == Shape{0, 2});
  CHECK(values_of(flip(x, {0})).empty());
}

TEST_CASE("an axis of every rank, to the largest") {
  Tape tape;
  const Var x = as_var(counted({1, 2, 1, 2, 1, 2, 1, 2}));
  const Var back = permute(permute(x, {7, 6, 5, 4, 3, 2, 1, 0}), {-1, -2, -3, -4, -5, -6, -7, -8});
  CHECK(values_of(contiguous(back)) == values_of(x));
  CHECK_THROWS_WITH(unsqueeze(x, 0), Contains("more than 8 dimensions"));
}

TEST_CASE("the gradients of all slices of an array are written once") {
  constexpr int64_t steps_of_time = 50;
  for (const int axis : {0, 1}) {
    Tape tape;
    const Var x = as_var(counted({steps_of_time, steps_of_time}));
    Var total = sum(square(select(x, axis, 0)));
    for (int64_t t = 1; t < steps_of_time; ++t) total = total + sum(square(select(x, axis, t)));
    const Var g = grad(total, {x}).front();
    int unslices = 0;
    for (const Plan::Step& step : Executor::current().plan(std::span(&g, 1))->steps) {
      if (step.op->name == "unslice") {
        ++unslices;
        CHECK(step.inputs == steps_of_time);
      }
    }
    CHECK(unslices == 1);
    CHECK(values_of(g) == values_of(x * 2));
  }
}

TEST_CASE("places that no slice covers have a gradient of 0, those of two slices the sum") {
  Tape tape;
  const Var x = as_var(counted({2, 7}));
  const Var total = sum(slice(x, 1, 0, 5, 2)) + sum(slice(x, 1, 4, 6)) * 10;
  CHECK(values_of(grad(total, {x}).front()) ==
        Values{1, 0, 1, 0, 11, 10, 0, 1, 0, 1, 0, 11, 10, 0});
  const Var apart = sum(slice(x, 1, 0, 3)) + sum(slice(x, 1, 4, 6)) * 10;
  CHECK(values_of(grad(apart, {x}).front()) ==
        Values{1, 1, 1, 0, 10, 10, 0, 1, 1, 1, 0, 10, 10, 0});
  const Var none = sum(slice(x, 1, 3, 3));
  CHECK(values_of(grad(none, {x}).front()) == Values(14, 0.0f));
}

TEST_CASE("more pieces than a node takes") {
  Tape tape;
  const Var x = as_var(counted({3}));
  const Var g = grad(sum(slice(x, 0, 1, 2)), {x}).front();
  const SumRule* rule = sum_rule_of(g);
  REQUIRE(rule != nullptr);
  CHECK(sum_rule_of(x) == nullptr);
  const std::vector<Var> many(70000, g);
  CHECK(values_of(rule->sum(many)) == Values{0, 70000, 0});
}

TEST_CASE("large pieces are copied and added in several tasks") {
  Tape tape;
  const Var x = as_var(counted({60, 1000}));
  const std::vector<Var> parts = split(x, {400, 600}, 1);
  CHECK(values_of(concat(parts, 1)) == values_of(x));
  const Var total = sum(slice(x, 0, 0, 59) + slice(x, 0, 1));
  Values expected(60000, 2.0f);
  std::fill_n(expected.begin(), 1000, 1.0f);
  std::fill_n(expected.end() - 1000, 1000, 1.0f);
  CHECK(values_of(grad(total, {x}).front()) == expected);
}

TEST_CASE("integers and booleans move like floats") {
  Tape tape;
  const Var ids = as_var(tensor<int32_t>({1, 2, 3, 4}));
  CHECK(flip(ids, 0).value().to_vector<int32_t>() == std::vector<int32_t>{4, 3, 2, 1});
  CHECK(concat({ids, slice(ids, 0, 0, 1)}, 0).value().to_vector<int32_t>() ==
        std::vector<int32_t>{1, 2, 3, 4, 1});
  const Var even = eq(ids - ids / 2 * 2, 0);
  CHECK(contiguous(transpose(reshape(even, {2, 2}))).value().to_vector<int32_t>().size() == 4);
  const Var index = as_var(tensor<int32_t>({3, 0}));
  CHECK(gather(ids, 0, index).value().to_vector<int32_t>() == std::vector<int32_t>{4, 1});
  CHECK(
      scatter_add(ids, 0, index, as_var(tensor<int32_t>({10, 20}))).value().to_vector<int32_t>() ==
      std::vector<int32_t>{21, 2, 3, 14});
}

TEST_CASE("scatter_add adds equal indices in order, and leaves x as it was") {
  Tape tape;
  // In float, 1e8 + 1 - 1e8 is 0, and 1e8 - 1e8 + 1 is 1.
  const Tensor x = tensor<float>({0, 0});
  const Var index = as_var(tensor<int32_t>({0, 0, 0, 1, 1, 1}));
  const Var source = as_var(tensor<float>({1e8f, 1, -1e8f, 1e8f, -1e8f, 1}));
  CHECK(values_of(scatter_add(x, 0, index, source)) == Values{0, 1});
  CHECK(x.to_vector<float>() == Values{0, 0});
}

TEST_CASE("what many indices add to one place keeps its digits") {
  const int64_t n = 100000;
  Tape tape;
  const Var places = as_var(full({2, n}, 1, DType::int32));
  const Var source = as_var(full({2, n}, 0.1));
  const Values y = values_of(scatter_add(full({2, 3}, 1), 1, places, source));
  for (const size_t row : {size_t{0}, size_t{3}}) {
    CHECK(y[row] == 1);
    CHECK(y[row + 1] == Approx(1 + 0.1 * static_cast<double>(n)).epsilon(1e-6));
    CHECK(y[row + 2] == 1);
  }
  const Var table = as_var(zeros({2, 3}));
  const Var picked = element(table, std::vector<Arg>{as_var(full({n}, 1, DType::int32)), 2});
  const Values g = values_of(grad(sum(picked * 0.1), {table})[0]);
  CHECK(g[5] == Approx(0.1 * static_cast<double>(n)).epsilon(1e-6));
  CHECK(g[4] == 0);
}

TEST_CASE("sizes beside an axis of 0 may multiply beyond int64") {
  const int64_t much = int64_t{1} << 40;
  const Tensor none({much, 0, much, much});
  CHECK(none.size() == 0);
  CHECK(none.to_vector<float>().empty());
}

TEST_CASE("take with a scalar index takes the axis away") {
  Tape tape;
  const Var x = as_var(counted({3, 4}));
  const Var row = take(x, as_var(tensor<int32_t>({2})), 0);
  CHECK(row.shape() == Shape{1, 4});
  CHECK(values_of(row) == Values{8, 9, 10, 11});
  Tensor scalar(Shape{}, DType::int32);
  scalar.data<int32_t>()[0] = 1;
  CHECK(take(x, scalar, 0).shape() == Shape{4});
  CHECK(values_of(take(x, scalar, 1)) == Values{1, 5, 9});
}

TEST_CASE("errors name the operator, the shapes and the line") {
  Tape tape;
  const Var x = as_var(counted({2, 3, 4}));
  CHECK_THROWS_WITH(reshape(x, {5, -1}),
                    Contains("reshape: [2, 3, 4] does not have the elements of [5, -1]; at "
                             "shape_test.cpp:"));
  CHECK_THROWS_AS(reshape(x, {-1, -1}), Error);
  CHECK_THROWS_AS(reshape(x, {-2, 12}), Error);
  CHECK_THROWS_AS(reshape(as_var(Tensor({0, 2})), {0, -1}), Error);
  CHECK_THROWS_WITH(broadcast_to(x, {3, 4}),
                    Contains("broadcast_to: [2, 3, 4] does not broadcast to [3, 4]"));
  CHECK_THROWS_WITH(broadcast_to(x, {2, 3, 1}), Contains("does not broadcast"));
  CHECK_THROWS_WITH(permute(x, {0, 1}),
                    Contains("permute: [0, 1] does not name each axis of [2, 3, 4] once"));
  CHECK_THROWS_WITH(permute(x, {0, 1, -2}), Contains("once"));
  CHECK_THROWS_WITH(permute(x, {0, 1, 3}), Contains("permute: there is no axis 3 in [2, 3, 4]"));
  CHECK_THROWS_WITH(transpose(x, 0, 3), Contains("transpose: there is no axis 3 in [2, 3, 4]"));
  CHECK_THROWS_WITH(transpose(as_var(counted({3}))), Contains("there is no axis -2 in [3]"));
  CHECK_THROWS_WITH(unsqueeze(x, 4), Contains("unsqueeze: there is no place 4 for an axis"));
  CHECK_THROWS_WITH(squeeze(x, 1),
                    Contains("squeeze: axis 1 of [2, 3, 4] has a size other than 1"));
  CHECK_THROWS_WITH(slice(x, 1, 2, 5),
                    Contains("slice: from 2 to 5 is not inside axis 1 of [2, 3, 4]"));
  CHECK_THROWS_AS(slice(x, 1, 2, 1), Error);
  CHECK_THROWS_AS(slice(x, 1, -4), Error);
  CHECK_THROWS_WITH(slice(x, 1, 0, 3, 0), Contains("the step has to be at least 1, it is 0"));
  CHECK_THROWS_WITH(select(x, 0, 2), Contains("slice: from 2 to 3 is not inside axis 0"));
  CHECK_THROWS_WITH(flip(x, {0, -3}), Contains("flip: axis 0 comes twice"));
  CHECK_THROWS_WITH(split(x, 2, 1),
                    Contains("split: axis 1 of [2, 3, 4] does not fall into 2 equal pieces; at "
                             "shape_test.cpp:"));
  CHECK_THROWS_WITH(split(x, {1, 1}, 1), Contains("split: the pieces have 2 places along axis 1"));
  CHECK_THROWS_WITH(split(x, 2, 3), Contains("split: there is no axis 3 in [2, 3, 4]"));
  CHECK_THROWS_WITH(concat({x, as_var(counted({2, 2, 5}))}, 1),
                    Contains("concat: [2, 3, 4] and [2, 2, 5] differ in more than axis 1"));
  CHECK_THROWS_WITH(concat({x, cast(x, DType::float64)}, 0),
                    Contains("concat: types differ: float32 and float64"));
  CHECK_THROWS_WITH(concat(std::vector<Var>(), 0),
                    Contains("concat: there has to be at least one"));
  CHECK_THROWS_WITH(concat(std::vector<Var>(65536, x), 0), Contains("65536 arrays are more than"));
  CHECK_THROWS_WITH(stack({x, select(x, 0, 0)}, 0),
                    Contains("stack: shapes differ: [2, 3, 4] and [3, 4]"));
}

TEST_CASE("errors of indices") {
  Tape tape;
  const Var x = as_var(counted({2, 3}));
  const Var index = as_var(tensor(std::vector<int32_t>{0, 3}, {2, 1}));
  CHECK_THROWS_WITH(gather(x, 1, x), Contains("gather: the index has to be int32, it is float32"));
  CHECK_THROWS_WITH(gather(x, 1, reshape(index, {2})),
                    Contains("gather: an index [2] reaches beyond [2, 3] in other axes than 1"));
  CHECK_THROWS_WITH(gather(x, 1, broadcast_to(reshape(index, {1, 2}), {3, 2})),
                    Contains("an index [3, 2] reaches beyond [2, 3]"));
  CHECK_THROWS_WITH(gather(x, 1, index).value(),
                    Contains("gather: the index 3 is outside of an axis of 3; at shape_test.cpp:"));
  CHECK_THROWS_WITH(gather(x, 1, index - 1).value(), Contains("the index -1 is outside"));
  CHECK_THROWS_WITH(scatter_add(x, 1, index, x), Contains("has not the index's shape [2, 1]"));
  CHECK_THROWS_WITH(scatter_add(x, 1, index, as_var(counted({2, 1}))).value(),
                    Contains("scatter_add: the index 3 is outside of an axis of 3"));
  CHECK_THROWS_WITH(take(x, index, 2), Contains("take: there is no axis 2 in [2, 3]"));
  CHECK_THROWS_WITH(one_hot(x, 3), Contains("one_hot: expected an int32 index"));
}

}  // namespace
}  // namespace rapt
