// What can be known of attention's weights without storing them: against the weights themselves.
#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const Key key{5};

Var drawn(uint64_t id, const Shape& shape) {
  return as_var(uniform(key.fold(id), shape, -2, 2, DType::float64));
}

AttentionOptions options_of(int kind, int64_t Tq, int64_t Tk) {
  AttentionOptions options;
  if (kind == 1) options.mask = causal();
  if (kind == 2) options.mask = lengths(tensor<int32_t>({0, static_cast<int32_t>(Tk / 2 + 1)}));
  if (kind == 3) {
    options.score = score::alibi() | score::softcap(3);
    options.bias = drawn(9, {Tq, 1});
    options.mask = sliding_window(20);
  }
  return options;
}

}  // namespace

TEST_CASE("statistics are those of the weights") {
  constexpr int64_t B = 2, H = 4, D = 6;
  const int64_t Tq = GENERATE(1, 9, 80), Tk = GENERATE(1, 12, 300), top = GENERATE(0, 1, 5);
  const int kind = GENERATE(0, 1, 2, 3);
  CAPTURE(Tq, Tk, top, kind);
  Tape tape;
  const Var q = drawn(0, {B, H, Tq, D}), k = drawn(1, {B, 2, Tk, D});
  const AttentionOptions options = options_of(kind, Tq, Tk);
  const Var weights = attention_weights(q, k, options);
  const AttentionStatistics s = attention_statistics(q, k, options, {.top = top});
  Executor::current().run({weights, s.entropy, s.largest, s.values, s.keys});
  const std::vector<double> w = weights.value().to_vector<double>();
  const std::vector<double> entropy = s.entropy.value().to_vector<double>();
  const std::vector<double> largest = s.largest.value().to_vector<double>();
  const std::vector<double> values = s.values.value().to_vector<double>();
  const std::vector<int32_t> keys = s.keys.value().to_vector<int32_t>();
  REQUIRE(s.values.shape() == Shape{B, H, Tq, top});
  for (int64_t row = 0; row < B * H * Tq; ++row) {
    const double* of_row = w.data() + row * Tk;
    double sum = 0, most = 0;
    std::vector<std::pair<double, int32_t>> links;
    for (int32_t j = 0; j < Tk; ++j) {
      if (of_row[j] > 0) sum -= of_row[j] * std::log(of_row[j]);
      most = std::max(most, of_row[j]);
      if (of_row[j] > 0) links.emplace_back(-of_row[j], j);
    }
    std::sort(links.begin(), links.end());
    const auto r = static_cast<size_t>(row);
    REQUIRE(entropy[r] == Approx(sum).margin(1e-12));
    REQUIRE(largest[r] == Approx(most).margin(1e-15));
    for (size_t n = 0; n < static_cast<size_t>(top); ++n) {
      const size_t at = r * static_cast<size_t>(top) + n;
      REQUIRE(values[at] == Approx(n < links.size() ? -links[n].first : 0).margin(1e-15));
      REQUIRE(keys[at] == (n < links.size() ? links[n].second : -1));
    }
  }
}

TEST_CASE("weights of one head, and averaged") {
  const int kind = GENERATE(0, 1, 2, 3);
  const int64_t Tq = GENERATE(3, 290), Tk = GENERATE(7, 270);
  Tape tape;
  const Var q = drawn(0, {2, 4, Tq, 5}), k = drawn(1, {2, 2, Tk, 5});
  const AttentionOptions options = options_of(kind, Tq, Tk);
  const Var all = attention_weights(q, k, options);
  const Var one = attention_weights(q, k, options, {.head = 2});
  const Var average = attention_weights(q, k, options, {.average = true});
  REQUIRE(one.shape() == Shape{2, Tq, Tk});
  REQUIRE(average.shape() == Shape{2, Tq, Tk});
  CHECK(max(abs(one - select(all, 1, 2))).item() == 0);
  CHECK(max(abs(average - mean(all, 1))).item() < 1e-15);
}

TEST_CASE("statistics and averages store no array of all pairs") {
  constexpr int64_t T = 2048;
  Tape tape;
  const Var x = as_var(uniform(key, {1, 4, T, 8}, -1, 1));
  const AttentionStatistics s = attention_statistics(x, x, {.mask = causal()}, {.top = 3});
  const Var average = attention_weights(x, x, {}, {.average = true});
  CHECK(Executor::current().plan(std::vector<Var>{s.entropy, s.values})->arena_bytes < T * T);
  CHECK(Executor::current().plan({&average, 1})->arena_bytes < 2 * T * T * 4);
}

TEST_CASE("entropy and largest weight have gradients") {
  check_gradient(
      [](std::span<const Var> x) {
        const AttentionStatistics s = attention_statistics(x[0], x[1], {.mask = causal()});
        return s.entropy + s.largest * 2;
      },
      shapes({{1, 2, 3, 2}, {1, 1, 4, 2}}));
  for (const WeightsOptions& which : {WeightsOptions{.average = true}, WeightsOptions{.head = 1}}) {
    check_gradient([&](std::span<const Var> x) { return attention_weights(x[0], x[1], {}, which); },
                   shapes({{1, 2, 3, 2}, {1, 2, 4, 2}}));
  }
}

TEST_CASE("statistics of nothing, and errors") {
  Tape tape;
  const Var q = as_var(zeros({1, 2, 3, 4})), none = as_var(zeros({1, 2, 0, 4}));
  const AttentionStatistics s = attention_statistics(q, none, {}, {.top = 2});
  CHECK(sum(s.entropy).item() == 0);
  CHECK(s.keys.value().to_vector<int32_t>() == std::vector<int32_t>(12, -1));
  CHECK_THROWS_WITH(attention_statistics(q, q, {}, {.top = -1}), Contains("0 or more"));
  CHECK_THROWS_WITH(attention_weights(q, q, {}, {.head = 2}), Contains("no head 2 of 2"));
  CHECK_THROWS_WITH(attention_weights(q, q, {}, {.average = true, .head = 1}), Contains("both"));
}

}  // namespace rapt
