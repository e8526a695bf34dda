// Rotary positions: what makes them useful, and errors. Values and gradients: the operator table.
#include "ops/attention/rotary.hpp"

#include <cmath>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const Key key{31};

Tensor ids(std::vector<int32_t> values) {
  return tensor(values, {static_cast<int64_t>(values.size())});
}

std::vector<double> values(const Var& var) { return var.value().to_vector<double>(); }

}  // namespace

TEST_CASE("a product of turned rows depends on their distance alone") {
  const Tensor table = rotary_table(64, 10, 10000, DType::float64);
  const Tensor q = uniform(key.fold(0), {1, 1, 10}, -1, 1, DType::float64);
  const Tensor k = uniform(key.fold(1), {1, 1, 10}, -1, 1, DType::float64);
  const auto score = [&](int32_t at, int32_t other) {
    const Tape tape;
    return sum(rotary(q, table, ids({at})) * rotary(k, table, ids({other}))).item();
  };
  CHECK(score(7, 4) == Approx(score(43, 40)).epsilon(1e-12));
  CHECK(score(0, 9) == Approx(score(54, 63)).epsilon(1e-12));
  CHECK(std::abs(score(7, 4) - score(4, 7)) > 1e-3);
}

TEST_CASE("rows turned one by one, as in decoding, are those turned together") {
  const Tensor table = rotary_table(9, 6);
  const Tensor x = uniform(key, {2, 9, 3, 6}, -1, 1);
  const Tape tape;
  const Var all = rotary(x, table);
  for (int32_t t = 0; t < 9; ++t) {
    const Var one = rotary(slice(x, 1, t, t + 1), table, ids({t, t}));
    CHECK(values(one) == values(slice(all, 1, t, t + 1)));
  }
}

TEST_CASE("rotary positions refuse what does not fit") {
  CHECK_THROWS_WITH(rotary_table(4, 5), Contains("even depth") && Contains("5"));
  const Tensor table = rotary_table(4, 6);
  const Tape tape;
  CHECK_THROWS_WITH(rotary(zeros({2, 5, 6}), table),
                    Contains("5 places") && Contains("has 4") && Contains("rotary_test.cpp"));
  CHECK_THROWS_WITH(rotary(zeros({2, 3, 8}), table), Contains("[2, 3, 8] and [4, 6]"));
  CHECK_THROWS_WITH(rotary(zeros({3, 6}), table), Contains("[B, T, .., D]"));
  CHECK_THROWS_WITH(rotary(zeros({2, 3, 6}, DType::float64), table), Contains("float64"));
  CHECK_THROWS_WITH(rotary(zeros({2, 3, 6}), table, ids({0, 0, 0})), Contains("first places"));
  CHECK_THROWS_WITH(rotary(zeros({2, 3, 6}), table, ids({0, 2})).value(),
                    Contains("places 2 .. 4 of sentence 1") && Contains("table of 4"));
  CHECK(rotary(zeros({0, 3, 6}), table).value().size() == 0);
}

}  // namespace rapt
