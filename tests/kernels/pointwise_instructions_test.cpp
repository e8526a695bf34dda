// Each pointwise instruction against its reference.
#include <cmath>
#include <limits>
#include <random>

#include "ops/kernels/elementwise/reference.hpp"
#include "tests/kernels/pointwise_builder.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::test;

namespace {

const double inf = std::numeric_limits<double>::infinity();
const double not_a_number = std::numeric_limits<double>::quiet_NaN();

bool is_of_int32(Code code) { return code >= Code::wrap_int32 && code <= Code::to_int32; }

/// What is left of a whole number in an int32, by 64-bit arithmetic.
double modulo_int32(int64_t x) {
  const int64_t low = x & 0xffffffff;
  return static_cast<double>(low >= int64_t{1} << 31 ? low - (int64_t{1} << 32) : low);
}

double power_of_int32(int64_t a, int64_t b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
  if (a == 2 && b > 31) return 0;
  int64_t power = 1;
  for (int64_t i = 0; i < std::min<int64_t>(b, 64); ++i) {
    power = static_cast<int64_t>(modulo_int32(power * a));
  }
  return static_cast<double>(power);
}

std::vector<double> interesting() {
  std::vector<double> v{0.0, -0.0, 1,    -1,    0.5,   -0.5, 2,     -3,  10,   -10,
                        80,  -80,  1e-3, -1e-3, 1e-30, 1e30, -1e30, inf, -inf, not_a_number};
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0, 2);
  while (v.size() < 61) v.push_back(double(float(normal(random))));
  return v;
}

}  // namespace

TEMPLATE_TEST_CASE("every instruction agrees with its formula", "[pointwise]", float, double) {
  using T = TestType;
  const std::vector<double> values = interesting();
  // All pairs of values; the third operand runs at yet another pace.
  std::vector<T> a, b, c;
  for (double x : values) {
    for (double y : values) {
      a.push_back(T(x));
      b.push_back(T(y));
      c.push_back(T(values[(a.size() * 7) % values.size()]));
    }
  }
  for (int i = 0; i < code_count; ++i) {
    const Code code = Code(i);
    if (code == Code::dropout || is_of_int32(code)) continue;
    if (code == Code::logistic_loss || code == Code::logistic_loss_grad) continue;  // below
    std::vector<T> y(a.size());
    Builder({int64_t(a.size())})
        .in(type_of<T>, 0)
        .in(type_of<T>, 1)
        .in(type_of<T>, 2)
        .op(code, 3, 0, 1, 2)
        .out(type_of<T>, 3)
        .template run<T>({a.data(), b.data(), c.data()}, {y.data()});
    // The functions' own errors are bounded by the tests of math.hpp; differences against 1 and
    // products in the formulas of derivatives add a few roundings, relative to the operands.
    const double epsilon = double(std::numeric_limits<T>::epsilon());
    const double tiny = double(std::numeric_limits<T>::min());
    double worst = 0;
    for (size_t k = 0; k < y.size(); ++k) {
      const double want =
          double(T(reference::apply(code, double(a[k]), double(b[k]), double(c[k]))));
      const double got = double(y[k]);
      // inf * 0 of a vanishing derivative has no one answer, and y of sigmoid and tanh is small.
      if (code >= Code::relu_grad && !std::isfinite(double(b[k]))) continue;
      if (code >= Code::sigmoid_grad && std::fabs(double(a[k])) > 10) continue;
      if (std::isnan(want) || std::isinf(want) || std::isinf(got)) {
        INFO("code " << i << " of " << a[k] << ", " << b[k] << ", " << c[k]);
        if (std::isnan(want)) {
          CHECK(std::isnan(got));
        } else {
          CHECK(got == want);
        }
        continue;
      }
      double scale = std::max(std::fabs(want), 4 * tiny / epsilon);
      if (code >= Code::gelu_grad) scale = std::max(scale, std::fabs(double(b[k])));
      // Rounding x before squaring it costs the tail of e^(-x^2/2) that much.
      if (code == Code::gelu) scale *= 1 + double(a[k]) * double(a[k]) / 8;
      if (code == Code::multiply_add) scale = std::max(scale, std::fabs(double(c[k])));
      worst = std::max(worst, std::fabs(got - want) / scale);
      if (!(std::fabs(got - want) <= 16 * epsilon * scale)) {
        INFO("code " << i << " of " << a[k] << ", " << b[k] << ", " << c[k] << " gave " << got
                     << " for " << want);
        CHECK(false);
        break;
      }
    }
    INFO("code " << i);
    CHECK(worst <= 16 * epsilon);
  }
}

TEMPLATE_TEST_CASE("logistic loss and its derivative keep their digits", "[pointwise]", float,
                   double) {
  using T = TestType;
  std::vector<T> x, t, g;
  for (const double value : interesting()) {
    for (const double target : {0., 0.25, 0.5, 0.875, 1.}) {
      if (std::fabs(value) > 80 && std::isfinite(value)) continue;
      x.push_back(T(value));
      t.push_back(T(target));
      g.push_back(T(x.size() % 2 == 0 ? 1 : -3));
    }
  }
  std::vector<T> loss(x.size()), slope(x.size());
  Builder({int64_t(x.size())})
      .in(type_of<T>, 0)
      .in(type_of<T>, 1)
      .in(type_of<T>, 2)
      .op(Code::logistic_loss, 3, 0, 1)
      .op(Code::logistic_loss_grad, 4, 0, 1, 2)
      .out(type_of<T>, 3)
      .out(type_of<T>, 4)
      .template run<T>({x.data(), t.data(), g.data()}, {loss.data(), slope.data()});
  for (size_t i = 0; i < x.size(); ++i) {
    const double a = double(x[i]), b = double(t[i]), c = double(g[i]);
    INFO("x " << a << ", t " << b << ", g " << c << ": " << loss[i] << ", " << slope[i]);
    const double epsilon = 8 * double(std::numeric_limits<T>::epsilon());
    const double up = (1 - b) * reference::sigmoid(a), down = b * reference::sigmoid(-a);
    if (std::isnan(a)) {
      CHECK((std::isnan(loss[i]) && std::isnan(slope[i])));
    } else {
      const bool sure = (a == inf && b == 1) || (a == -inf && b == 0);
      const double want = sure ? 0 : b * reference::softplus(-a) + (1 - b) * reference::softplus(a);
      CHECK(double(loss[i]) == Approx(want).epsilon(epsilon).margin(0));
      CHECK(double(slope[i]) ==
            Approx(c * (up - down)).epsilon(0).margin(std::fabs(c) * epsilon * std::max(up, down)));
    }
  }
}

TEST_CASE("instructions of int32 are exact modulo 2^32", "[pointwise]") {
  const std::vector<int64_t> numbers{
      0,     1,      -1,     2,       3,          -7,         31,          32,         46340,
      46341, -46341, 65535,  65536,   -65536,     65537,      123456789,   -987654321, 1 << 30,
      33,    -2,     100003, -100003, 2147483646, 2147483647, -2147483647, -2147483648};
  std::vector<double> a, b;
  for (const int64_t x : numbers) {
    for (const int64_t y : numbers) {
      a.push_back(static_cast<double>(x));
      b.push_back(static_cast<double>(y));
    }
  }
  const auto run = [](Code code, const std::vector<double>& x, const std::vector<double>& y) {
    std::vector<double> out(x.size());
    Builder({int64_t(x.size())})
        .in(ElementType::f64, 0)
        .in(ElementType::f64, 1)
        .op(code, 2, 0, 1)
        .out(ElementType::f64, 2)
        .run<double>({x.data(), y.data()}, {out.data()});
    return out;
  };
  const std::vector<double> products = run(Code::mul_int32, a, b);
  const std::vector<double> quotients = run(Code::div_int32, a, b);
  for (size_t i = 0; i < a.size(); ++i) {
    INFO(a[i] << " and " << b[i]);
    const auto x = static_cast<int64_t>(a[i]), y = static_cast<int64_t>(b[i]);
    CHECK(products[i] == modulo_int32(x * y));
    CHECK(quotients[i] == (y == 0 ? 0 : modulo_int32(x / y)));
    // -0 would be seen by what divides by it.
    CHECK(!(products[i] == 0 && std::signbit(products[i])));
    CHECK(!(quotients[i] == 0 && std::signbit(quotients[i])));
  }

  std::vector<double> bases, exponents;
  for (const int64_t x : {-3, -2, -1, 0, 1, 2, 3, 7, 46341, 65536}) {
    for (const int64_t y : {-2147483648L, -3L, -2L, -1L, 0L, 1L, 2L, 3L, 5L, 20L, 31L, 40L, 64L}) {
      bases.push_back(static_cast<double>(x));
      exponents.push_back(static_cast<double>(y));
    }
  }
  const std::vector<double> powers = run(Code::pow_int32, bases, exponents);
  for (size_t i = 0; i < bases.size(); ++i) {
    INFO(bases[i] << " to the power of " << exponents[i]);
    CHECK(powers[i] == power_of_int32(int64_t(bases[i]), int64_t(exponents[i])));
  }

  const std::vector<double> sums{0x1p31, -0x1p31 - 1, 0x1p32,     -0x1p32, 4294967294., -0.,
                                 1,      -1,          0x1p31 - 1, -0x1p31, 0x1p32 - 1};
  const std::vector<double> wrapped = run(Code::wrap_int32, sums, sums);
  for (size_t i = 0; i < sums.size(); ++i) {
    CHECK(wrapped[i] == modulo_int32(static_cast<int64_t>(sums[i])));
    CHECK(!(wrapped[i] == 0 && std::signbit(wrapped[i])));
  }

  const std::vector<double> floats{0.5, -0.5, 1.9,          -1.9, 3e9,         -3e9,
                                   inf, -inf, not_a_number, -0.,  2147483647.5};
  const std::vector<double> whole{0,          0,           1, -1, 2147483647, -2147483648,
                                  2147483647, -2147483648, 0, 0,  2147483647};
  const std::vector<double> converted = run(Code::to_int32, floats, floats);
  for (size_t i = 0; i < floats.size(); ++i) {
    INFO(floats[i]);
    CHECK(converted[i] == whole[i]);
    CHECK(!(converted[i] == 0 && std::signbit(converted[i])));
  }
}
