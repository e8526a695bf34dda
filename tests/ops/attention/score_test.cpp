// Score functions: what the ready ones compute, elements by computed indices, and errors.
#include <cmath>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "ops/attention/attention.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("elements by computed indices, clipped to the axes' ends") {
  Tape tape;
  const Var table = as_var(tensor<float>({0, 1, 2, 10, 11, 12}, {2, 3}));
  const Var row = as_var(tensor<int32_t>({0, 1}, {2, 1}));
  const Var column = as_var(tensor<float>({-7, 0.4f, 0.6f, 1.9f, 99, NAN}));
  const Var y = table[row][column];
  REQUIRE(y.shape() == Shape{2, 6});
  CHECK(y.value().to_vector<float>() ==
        std::vector<float>{0, 0, 1, 2, 2, 0, 10, 10, 11, 12, 12, 10});
  CHECK(Var(table[1][2]).item() == 12);
  const Var g = grad(sum(y), {table})[0];
  CHECK(g.value().to_vector<float>() == std::vector<float>{3, 1, 2, 3, 1, 2});
  CHECK_THROWS_WITH(Var(table[row]), Contains("needs 2 indices, got 1"));
  CHECK_THROWS_WITH(element(table, {row, table > 0}), Contains("boolean"));
  CHECK_THROWS_WITH(element(as_var(zeros({0})), {0}), Contains("no element in [0]"));
  CHECK_THROWS_WITH(
      element(table, {as_var(zeros({2})), as_var(zeros({3}))}),
      Contains("indices do not broadcast: [2] and [3]") && Contains("score_test.cpp"));
}

TEST_CASE("elements of a parameter, and their gradients of first and second order") {
  const std::vector<InputSpec> inputs{{{3, 4}}, {{5, 1}, -1, 4}, {{6}, 0, 4, DType::int32}};
  check_gradient([](std::span<const Var> x) { return square(Var(x[0][floor(x[1])][x[2]])); },
                 inputs, {.key = Key{3}});
  Tape tape;
  const Parameter p(tensor<float>({5, 6}));
  CHECK(Var(p[1]).item() == 6);
}

TEST_CASE("the slopes of ALiBi") {
  // Press et al. 2022, section 3: for 8 heads 1/2, 1/4 ... 1/256.
  const std::vector<double> eight = score::alibi_slopes(8).to_vector<double>();
  for (size_t i = 0; i < 8; ++i)
    CHECK(eight[i] == Approx(std::pow(0.5, static_cast<double>(i + 1))));
  // Their code: between powers of two, every other slope of the next one.
  const std::vector<double> three = score::alibi_slopes(3).to_vector<double>();
  CHECK(three[0] == Approx(1.0 / 16));
  CHECK(three[1] == Approx(1.0 / 256));
  CHECK(three[2] == Approx(1.0 / 4));
  CHECK(score::alibi_slopes(0).size() == 0);
}

TEST_CASE("the buckets of T5") {
  Tensor places({13}, DType::int32);
  const std::vector<int32_t> at{-200, -127, -64, -16, -9, -8, -1, 0, 1, 7, 8, 20, 500};
  std::copy(at.begin(), at.end(), places.data<int32_t>().begin());
  // By transformers' T5Attention._relative_position_bucket with 32 buckets.
  CHECK(score::t5_buckets(places, 32).to_vector<int32_t>() ==
        std::vector<int32_t>{15, 15, 14, 10, 8, 8, 1, 0, 17, 23, 24, 26, 31});
  CHECK(score::t5_buckets(places, 32, {.bidirectional = false}).to_vector<int32_t>() ==
        std::vector<int32_t>{31, 31, 26, 16, 9, 8, 1, 0, 0, 0, 0, 0, 0});
  CHECK_THROWS_WITH(score::t5_buckets(places, 3), Contains("3 buckets"));
  CHECK_THROWS_WITH(score::t5_buckets(places, 32, {.max_distance = 8}), Contains("distance of 8"));
}

}  // namespace
}  // namespace rapt
