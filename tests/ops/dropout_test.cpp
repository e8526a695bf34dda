// Dropout: how much it keeps, that its gradient drops the same, and that draws are independent.
#include "ops/elementwise/dropout.hpp"

#include <cmath>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

std::vector<float> dropped(const Key& key, const Shape& shape, double p) {
  Tape tape(Training{key});
  return dropout(full(shape, 1), p).value().to_vector<float>();
}

}  // namespace

TEST_CASE("dropout keeps its share and the mean") {
  constexpr int64_t n = 200000;
  for (const double p : {0.1, 0.5, 0.9}) {
    const std::vector<float> y = dropped(Key{3}, {n}, p);
    const float kept_value = static_cast<float>(1 / (1 - p));
    int64_t kept = 0;
    for (const float v : y) {
      REQUIRE((v == 0 || v == Approx(kept_value)));
      if (v != 0) ++kept;
    }
    // Five standard deviations of a binomial share.
    const double share = static_cast<double>(kept) / n;
    CHECK(std::abs(share - (1 - p)) < 5 * std::sqrt(p * (1 - p) / n));
  }
}

TEST_CASE("dropout follows from the key") {
  const std::vector<float> y = dropped(Key{3}, {5, 100}, 0.3);
  CHECK(dropped(Key{3}, {5, 100}, 0.3) == y);
  CHECK(dropped(Key{4}, {5, 100}, 0.3) != y);
  for (const int threads : {1, 8}) {
    for (const bool fuse : {false, true}) {
      Executor executor({.threads = threads, .fuse = fuse});
      const Executor::Use use(executor);
      CHECK(dropped(Key{3}, {5, 100}, 0.3) == y);
    }
  }
}

TEST_CASE("two dropouts of one tape are independent") {
  constexpr int64_t n = 100000;
  Tape tape(Training{Key{3}});
  const Tensor ones = full({n}, 1);
  const Var a = dropout(ones, 0.5), b = dropout(ones, 0.5);
  const std::vector<float> x = a.value().to_vector<float>(), y = b.value().to_vector<float>();
  int64_t both = 0;
  for (size_t i = 0; i < n; ++i) both += x[i] != 0 && y[i] != 0 ? 1 : 0;
  CHECK(std::abs(static_cast<double>(both) / n - 0.25) < 5 * std::sqrt(0.25 * 0.75 / n));
}

TEST_CASE("the gradient drops what the value dropped") {
  Tape tape(Training{Key{3}});
  const Var x = as_var(full({40, 50}, 1));
  const Var y = dropout(x, 0.4);
  const Var again = dropout(x, 0.4);
  const std::vector<Var> g = grad(sum(y), {x});
  Executor::current().run({y, again, g[0]});
  CHECK((g[0].value().to_vector<float>() == y.value().to_vector<float>()));
  CHECK((again.value().to_vector<float>() != y.value().to_vector<float>()));
}

TEST_CASE("dropout among other instructions, and of views, drops the same") {
  Tape tape(Training{Key{3}});
  const Var x = as_var(full({40, 50}, 1));
  const Var y = square(dropout(x * 3, 0.4)) + 1;
  const std::vector<float> plain = dropped(Key{3}, {40, 50}, 0.4);
  const std::vector<float> given = y.value().to_vector<float>();
  for (size_t i = 0; i < plain.size(); ++i) {
    CHECK(given[i] == Approx(9 * plain[i] * plain[i] + 1));
  }
  Tape other(Training{Key{3}});
  const Var turned = dropout(transpose(as_var(full({50, 40}, 1))), 0.4);
  CHECK((turned.value().to_vector<float>() == plain));
}

TEST_CASE("the derivatives of dropout, of first and second order") {
  const auto f = [](std::span<const Var> v) { return square(dropout(v[0] * v[1], 0.4)); };
  CHECK_NOTHROW(check_gradient(f, shapes({{4, 5}, {5}})));
}

TEST_CASE("no dropout for p = 0 or outside of training; everything falls for p = 1") {
  {
    Tape tape;
    const Var x = as_var(full({9}, 2));
    CHECK(dropout(x, 0.5).id() == x.id());
  }
  Tape tape(Training{Key{1}});
  const Var x = as_var(full({9}, 2));
  CHECK(dropout(x, 0).id() == x.id());
  CHECK(dropout(x, 1).value().to_vector<double>() == std::vector<double>(9, 0));
}

TEST_CASE("dropout says what does not fit") {
  Tape tape(Training{Key{1}});
  const std::string place = "; at dropout_test.cpp:";
  for (const double p : {-0.1, 1.1, std::nan("")}) {
    CHECK_THROWS_WITH(
        dropout(zeros({3}), p),
        Contains("dropout: the probability has to be in [0, 1], it is ") && Contains(place));
  }
  CHECK_THROWS_WITH(dropout(zeros({3}, DType::int32), 0.5),
                    Contains("dropout: expected a float type, got int32"));
}

}  // namespace rapt
