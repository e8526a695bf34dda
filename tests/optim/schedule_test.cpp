#include "optim/schedule.hpp"

#include "tests/support/catch.hpp"

using namespace rapt::schedules;

TEST_CASE("constant") {
  CHECK(constant(0.1)(0) == 0.1);
  CHECK(constant(0.1)(1000000) == 0.1);
}

TEST_CASE("warmup_inverse_sqrt is the formula of Vaswani et al.") {
  constexpr double d_model = 512, warmup = 4000;
  const auto rate = warmup_inverse_sqrt(1 / std::sqrt(d_model * warmup), 4000);
  for (const int64_t step : {0, 1, 100, 3998, 3999, 4000, 4001, 100000}) {
    const double t = static_cast<double>(step) + 1;
    const double want =
        1 / std::sqrt(d_model) * std::min(1 / std::sqrt(t), t / (warmup * std::sqrt(warmup)));
    CHECK(rate(step) == Approx(want).epsilon(1e-14));
  }
  CHECK(warmup_inverse_sqrt(0.5, 0)(0) == 0.5);
}

TEST_CASE("cosine rises, falls and stays") {
  const auto rate = cosine(1.0, 10, 110, 0.2);
  CHECK(rate(0) == Approx(0.1));
  CHECK(rate(9) == Approx(1));
  CHECK(rate(10) == Approx(1));
  CHECK(rate(35) == Approx(0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2));
  CHECK(rate(60) == Approx(0.6));
  CHECK(rate(110) == Approx(0.2));
  CHECK(rate(1000) == Approx(0.2));
  CHECK(cosine(1, 0, 0)(0) == 0);
  CHECK(cosine(1, 0, 2)(0) == 1);
}

TEST_CASE("step_decay") {
  const auto rate = step_decay(0.8, 3, 0.5);
  CHECK(rate(0) == 0.8);
  CHECK(rate(2) == 0.8);
  CHECK(rate(3) == Approx(0.4));
  CHECK(rate(8) == Approx(0.2));
}
