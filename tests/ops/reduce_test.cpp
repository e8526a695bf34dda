// Reductions: special values, ties, empty arrays and errors.
#include "ops/reduce/reduce.hpp"

#include <cmath>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;
using Values = std::vector<float>;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Values values_of(const Var& var) { return var.value().to_vector<float>(); }

Var matrix(const Values& values, int64_t rows) {
  return as_var(tensor(values, {rows, static_cast<int64_t>(values.size()) / rows}));
}

TEST_CASE("a NaN is passed on, wherever it stands") {
  for (const int64_t n : {1, 3, 16, 37}) {
    for (int64_t place = 0; place < n; ++place) {
      Tape tape;
      Values values(static_cast<size_t>(2 * n), 1.0f);
      values[static_cast<size_t>(place)] = nan;
      values.back() = 2;
      const Var x = matrix(values, 2);
      for (const auto op : {sum, mean, max, min, logsumexp}) {
        const Values rows = values_of(op(x, 1, false));
        CHECK(std::isnan(rows[0]));
        CHECK_FALSE(std::isnan(rows[1]));
        CHECK(std::isnan(values_of(op(x, 0, false))[static_cast<size_t>(place)]));
        CHECK(std::isnan(op(x, Axes::all(), false).item()));
      }
      CHECK(argmax(x, 1).value().to_vector<int32_t>() ==
            std::vector<int32_t>{static_cast<int32_t>(place), static_cast<int32_t>(n - 1)});
    }
  }
}

TEST_CASE("elements that are equally large share the gradient") {
  Tape tape;
  const Var x = matrix({3, 1, 3, 2, 3, 0}, 2);
  CHECK(values_of(grad(sum(max(x, 1)), {x})[0]) == Values{.5f, 0, .5f, 0, 1, 0});
  CHECK(values_of(grad(max(x) * 6, {x})[0]) == Values{2, 0, 2, 0, 2, 0});
  // Over two axes that are not neighbours all ties count, not those of one axis first.
  const Var wide = reshape(as_var(tensor<float>({5, 5, 0, 7, 5, 0, 1, 0})), {2, 2, 2});
  CHECK(values_of(grad(sum(max(wide, {0, 2})) * 3, {wide})[0]) == Values{1, 1, 0, 3, 1, 0, 0, 0});
  const Var y = matrix({1, 1, 1, 1}, 1);
  CHECK(values_of(grad(min(y), {y})[0]) == Values{.25f, .25f, .25f, .25f});
}

TEST_CASE("argmax is the first of equals, and has no gradient") {
  Tape tape;
  const Var x = matrix({3, 1, 3, 2, 2, 0}, 2);
  CHECK(argmax(x, 1).value().to_vector<int32_t>() == std::vector<int32_t>{0, 0});
  CHECK(argmax(x, 0, true).value().to_vector<int32_t>() == std::vector<int32_t>{0, 1, 0});
  CHECK(argmax(x, 0, true).shape() == Shape{1, 3});
  CHECK(argmax(cast(x, DType::int32), -1).dtype() == DType::int32);
}

TEST_CASE("logsumexp neither overflows nor gives NaN for -inf") {
  Tape tape;
  const Var x = matrix({-infinity, -infinity, 1000, 1000, -infinity, -1000}, 3);
  const Var y = logsumexp(x, 1);
  const Values values = values_of(y);
  CHECK(values[0] == -infinity);
  CHECK(values[1] == Approx(1000 + std::log(2)));
  CHECK(values[2] == -1000);
  const Values g = values_of(grad(sum(where(eq(y, -infinity), 0, y)), {x})[0]);
  CHECK(g[0] == 0);
  CHECK(g[1] == 0);
  // A float near 1000 is rounded to 6e-5, which the gradient sees in the exponent.
  CHECK(g[2] == Approx(.5).epsilon(1e-4));
  CHECK(g[3] == Approx(.5).epsilon(1e-4));
  CHECK(g[4] == 0);
  CHECK(g[5] == 1);
  CHECK(values_of(grad(sum(y), {x})[0])[0] == 0);
}

TEST_CASE("of no elements") {
  Tape tape;
  const Var x = as_var(Tensor({3, 0, 2}));
  CHECK(values_of(sum(x, 1)) == Values(6, 0.0f));
  CHECK(sum(x).item() == 0);
  CHECK(std::isnan(mean(x).item()));
  CHECK(values_of(logsumexp(x, 1)) == Values(6, -infinity));
  CHECK(max(x, 0).value().shape() == Shape{0, 2});
  CHECK(cumsum(x, 1).value().shape() == Shape{3, 0, 2});
  CHECK(argmax(x, 2).value().shape() == Shape{3, 0});
  CHECK_THROWS_WITH(max(x, 1),
                    Contains("max: there are no elements to choose from in [3, 0, 2]; at "
                             "reduce_test.cpp:"));
  CHECK_THROWS_WITH(argmax(x, 1), Contains("argmax: there are no elements to choose from"));
  const Var none = as_var(Tensor({0, 2}, DType::boolean));
  CHECK_FALSE(any(none).item() != 0);
  CHECK(all(none, 0).value().to_vector<int32_t>() == std::vector<int32_t>{1, 1});
}

TEST_CASE("types of results") {
  Tape tape;
  const Var flags = as_var(full({300}, 1, DType::boolean));
  CHECK(sum(flags).dtype() == DType::int32);
  CHECK(sum(flags).item() == 300);
  CHECK(cumsum(flags, 0).dtype() == DType::int32);
  CHECK(any(flags).dtype() == DType::boolean);
  const Var large = as_var(tensor<int32_t>({1 << 24, 1, 1 << 24}));
  CHECK(sum(large).item() == (1 << 25) + 1);  // which no float is
  CHECK(max(large).dtype() == DType::int32);
  CHECK(sum(cast(large, DType::float64)).dtype() == DType::float64);
}

TEST_CASE("sums keep their digits") {
  // Added one by one, 2^25 ones make 2^24 in float.
  Tape tape;
  const Var ones = as_var(full({1 << 20}, 1));
  CHECK(sum(broadcast_to(ones, {33, 1 << 20})).item() == 33.0 * (1 << 20));
  CHECK(mean(as_var(full({1 << 20}, 0.1))).item() == Approx(0.1).epsilon(1e-6));
}

TEST_CASE("sums of views are copied only where no kernel fits") {
  Tape tape;
  const Var x = as_var(full({4, 5, 6}, 1));
  const auto scratch_of = [](const Var& y) {
    return Executor::current().plan(std::span(&y, 1))->steps.back().scratch_bytes;
  };
  CHECK(scratch_of(sum(x, {0, 1})) == 0);
  CHECK(scratch_of(sum(x)) == 0);
  CHECK(scratch_of(sum(transpose(x), -1)) == 0);
  CHECK(scratch_of(sum(permute(x, {2, 0, 1}))) == 0);
  CHECK(scratch_of(sum(slice(x, 1, 1, 4), 1)) == 0);
  CHECK(scratch_of(sum(slice(x, 2, 1, 4), 2)) == 0);
  CHECK(scratch_of(sum(x, {0, 2})) > 0);
}

TEST_CASE("sum_to") {
  Tape tape;
  const Var x = as_var(full({2, 1, 3}, 1));
  CHECK(sum_to(x, {2, 1, 3}).id() == x.id());
  CHECK(sum_to(x, {1, 3}).shape() == Shape{1, 3});
  CHECK(values_of(sum_to(x, {1})) == Values{6});
  CHECK(values_of(sum_to(x, {})) == Values{6});
  CHECK(sum_to(as_var(full({1, 1, 3}, 1)), {3}).shape() == Shape{3});
  CHECK_THROWS_WITH(
      sum_to(x, {2, 3}),
      Contains("sum_to: [2, 3] does not broadcast to [2, 1, 3]; at reduce_test.cpp:"));
}

TEST_CASE("errors") {
  Tape tape;
  const Var x = as_var(full({2, 3}, 1));
  const Var flags = x > 0;
  CHECK_THROWS_WITH(sum(x, 2), Contains("sum: there is no axis 2 in [2, 3]; at reduce_test.cpp:"));
  CHECK_THROWS_WITH(sum(x, {0, -2}), Contains("sum: axis 0 comes twice"));
  CHECK_THROWS_WITH(sum(x, {0, 0, 0, 0, 0, 0, 0, 0, 0}), Contains("arrays have at most 8"));
  CHECK_THROWS_WITH(mean(cast(x, DType::int32)),
                    Contains("mean: expected float32 or float64, got int32"));
  CHECK_THROWS_WITH(logsumexp(flags), Contains("logsumexp: expected float32 or float64"));
  CHECK_THROWS_WITH(max(flags), Contains("max: expected numbers, got boolean"));
  CHECK_THROWS_WITH(any(x), Contains("any: expected boolean, got float32"));
  CHECK_THROWS_WITH(cumsum(x, -3), Contains("cumsum: there is no axis -3 in [2, 3]"));
}

}  // namespace
}  // namespace rapt
