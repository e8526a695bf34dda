// Operators at the edges of their domains: both zeros, denormal numbers, the smallest and largest
// normal ones, infinities and NaN, in value, gradient and second derivative. What is right comes
// from closed forms in long double.
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "framework/graph/tape.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/loss.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Real = long double;
using Function = std::function<Real(Real)>;

constexpr Real inf = std::numeric_limits<Real>::infinity();
constexpr Real none = std::numeric_limits<Real>::quiet_NaN();
const Real pi = std::acos(Real(-1));

template <class T>
std::vector<T> edges() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> points{T(0), T(-0.0), Limits::quiet_NaN()};
  const T wide = sizeof(T) == 4 ? T(1e30) : T(1e250);
  for (const T size : {Limits::denorm_min(),
                       Limits::min() / 8,
                       Limits::min(),
                       T(1) / wide,
                       T(1e-3),
                       T(0.5),
                       T(1),
                       T(1.5),
                       T(2),
                       T(5),
                       T(10),
                       T(20),
                       T(50),
                       T(87),
                       T(100),
                       T(1000),
                       T(1e5),
                       T(2e19),
                       wide,
                       Limits::max() / 2,
                       Limits::max(),
                       Limits::infinity()}) {
    points.push_back(size);
    points.push_back(-size);
  }
  return points;
}

/// How far a result may be off: `ulps` units in the last place of the right one, and `absolute`
/// of them of 1, where the function's own documentation counts so.
struct Tolerance {
  Real ulps = 0, absolute = 0;
};

template <class T>
bool agrees(T got, Real want, Tolerance tolerance) {
  using Limits = std::numeric_limits<T>;
  const Real epsilon = Limits::epsilon(), largest = Limits::max();
  const T rounded = static_cast<T>(want);
  if (std::isnan(want)) return std::isnan(got);
  if (tolerance.ulps == 0 && tolerance.absolute == 0) return got == rounded;
  // Functions in double give infinity above half of the largest number, and 0 below 1e-291.
  const bool near_top = std::fabs(want) > largest / 2;
  if (std::isinf(rounded) || (near_top && std::isinf(got))) {
    return std::signbit(got) == std::signbit(want) &&
           (std::isinf(got) || std::fabs(Real(got)) > largest * (1 - 64 * epsilon));
  }
  const Real tiny = sizeof(T) == 4 ? Real(Limits::min()) : Real(1e-290);
  const Real off = std::fabs(Real(got) - want);
  return off <= epsilon * (tolerance.ulps * std::fabs(want) + tolerance.absolute) + tiny;
}

struct Row {
  const char* name;
  Var (*op)(const Arg&);
  Function value, slope, bend;  // f, f', f''; an empty one is not looked at
  Tolerance of_value = {}, of_slope = {}, of_bend = {};
};

Real cubed(Real x) { return x * x * x; }
Real sigmoid_of(Real x) { return 1 / (1 + std::exp(-x)); }
Real density(Real x) { return std::exp(-x * x / 2) / std::sqrt(2 * pi); }
Real cumulative(Real x) { return std::erfc(-x / std::sqrt(Real(2))) / 2; }
/// f x where f falls faster than x grows.
Real vanishing(Real f, Real x) { return f == 0 ? 0 : f * x; }

const std::vector<Row>& rows() {
  static const Tolerance exact{}, one{.ulps = 1}, few{.ulps = 4}, more{.ulps = 16};
  static const Tolerance of_one{.ulps = 4, .absolute = 4}, rough{.ulps = 16, .absolute = 8};
  static const std::vector<Row> table{
      {"neg", neg, [](Real x) { return -x; }, [](Real) { return -1; }, {}},
      {"abs",
       abs,
       [](Real x) { return std::fabs(x); },
       [](Real x) {
         return x != x ? none : x > 0 ? 1 : x < 0 ? -1 : 0;
       },
       {}},
      {"square", square, [](Real x) { return x * x; }, [](Real x) { return 2 * x; },
       [](Real) { return 2; }, one, one, exact},
      {"reciprocal", reciprocal, [](Real x) { return 1 / x; }, [](Real x) { return -1 / (x * x); },
       [](Real x) { return 2 / (x * x * x); }, one, few, few},
      {"sqrt", sqrt, [](Real x) { return std::sqrt(x); },
       [](Real x) { return 0.5L / std::sqrt(x); },
       [](Real x) { return -0.25L / cubed(std::sqrt(x)); }, one, few, few},
      {"rsqrt",
       rsqrt,
       [](Real x) { return 1 / std::sqrt(x); },
       [](Real x) { return -0.5L / cubed(std::sqrt(x)); },
       {},
       few,
       more,
       few},
      {"exp", exp, [](Real x) { return std::exp(x); }, [](Real x) { return std::exp(x); },
       [](Real x) { return std::exp(x); }, few, few, few},
      {"expm1", expm1, [](Real x) { return std::expm1(x); }, [](Real x) { return std::exp(x); },
       [](Real x) { return std::exp(x); }, few, few, few},
      {"log", log, [](Real x) { return std::log(x); }, [](Real x) { return 1 / x; },
       [](Real x) { return -1 / (x * x); }, few, one, few},
      {"log1p", log1p, [](Real x) { return std::log1p(x); }, [](Real x) { return 1 / (1 + x); },
       [](Real x) { return -1 / ((1 + x) * (1 + x)); }, few, few, few},
      {"sin", sin, [](Real x) { return std::sin(x); }, [](Real x) { return std::cos(x); },
       [](Real x) { return -std::sin(x); }, few, few, few},
      {"cos", cos, [](Real x) { return std::cos(x); }, [](Real x) { return -std::sin(x); },
       [](Real x) { return -std::cos(x); }, few, few, few},
      {"tanh", tanh, [](Real x) { return std::tanh(x); },
       [](Real x) { return 1 - std::tanh(x) * std::tanh(x); },
       [](Real x) { return -2 * std::tanh(x) * (1 - std::tanh(x) * std::tanh(x)); }, few, of_one,
       rough},
      {"erf", erf, [](Real x) { return std::erf(x); },
       [](Real x) { return 2 / std::sqrt(pi) * std::exp(-x * x); },
       [](Real x) { return vanishing(-4 / std::sqrt(pi) * std::exp(-x * x), x); }, few, rough,
       rough},
      {"sigmoid", sigmoid, sigmoid_of, [](Real x) { return sigmoid_of(x) * sigmoid_of(-x); },
       [](Real x) { return sigmoid_of(x) * sigmoid_of(-x) * (sigmoid_of(-x) - sigmoid_of(x)); },
       few, of_one, rough},
      {"relu",
       relu,
       [](Real x) { return x > 0    ? x
                           : x != x ? x
                                    : 0; },
       [](Real x) { return x <= 0 ? 0 : 1; },
       {}},
      {"gelu",
       gelu,
       [](Real x) { return x == -inf ? 0 : x * cumulative(x); },
       [](Real x) { return cumulative(x) + vanishing(density(x), x); },
       [](Real x) { return vanishing(density(x), 2 - x * x); },
       {.ulps = 24},
       of_one,
       rough},
      {"silu",
       silu,
       [](Real x) { return vanishing(sigmoid_of(x), x); },
       [](Real x) { return sigmoid_of(x) + vanishing(sigmoid_of(x) * sigmoid_of(-x), x); },
       [](Real x) {
         const Real s = sigmoid_of(x), rest = sigmoid_of(-x);
         return vanishing(s * rest, 2 + x * (rest - s));
       },
       few,
       of_one,
       {.ulps = 16, .absolute = 1}},
      {"softplus", softplus,
       [](Real x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); },
       sigmoid_of, [](Real x) { return sigmoid_of(x) * sigmoid_of(-x); }, few, few, few},
      {"sign", sign, [](Real x) { return x != x  ? none
                                         : x > 0 ? 1
                                         : x < 0 ? -1
                                                 : 0; }, {}, {}},
      {"floor", floor, [](Real x) { return std::floor(x); }, {}, {}},
      {"ceil", ceil, [](Real x) { return std::ceil(x); }, {}, {}},
  };
  return table;
}

template <class T>
void check(const char* what, const Row& row, const std::vector<T>& x, const Var& got,
           const Function& right, Tolerance tolerance) {
  const std::vector<T> values = got.value().to_vector<T>();
  for (size_t i = 0; i < x.size(); ++i) {
    const Real want = right(x[i]);
    INFO(row.name << ", " << what << " at " << x[i] << ": " << values[i] << ", right "
                  << static_cast<double>(want));
    // Rounding x before squaring it costs the tail of e^(-x^2/2) that much.
    const bool tail = row.op == gelu && std::isfinite(x[i]);
    const Real factor = tail ? 1 + std::min(Real(x[i]) * Real(x[i]), Real(1600)) / 8 : 1;
    CHECK(agrees(values[i], want, {tolerance.ulps * factor, tolerance.absolute}));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("elementwise operators at the edges of their domains", "", float, double) {
  using T = TestType;
  const std::vector<T> points = edges<T>();
  for (const Row& row : rows()) {
    Tape tape;
    const Var x = as_var(tensor(points, {static_cast<int64_t>(points.size())}));
    const Var y = row.op(x);
    check("value", row, points, y, row.value, row.of_value);
    if (!row.slope) continue;
    const Var slope = grad(sum(y), {x})[0];
    check("gradient", row, points, slope, row.slope, row.of_slope);
    if (!row.bend) continue;
    check("second derivative", row, points, grad(sum(slope), {x})[0], row.bend, row.of_bend);
  }
}

TEMPLATE_TEST_CASE("arithmetic of two operands at the edges", "", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  std::vector<T> a, b;
  for (const T x : edges<T>()) {
    for (const T y : edges<T>()) {
      a.push_back(x);
      b.push_back(y);
    }
  }
  Tape tape;
  const Shape shape{static_cast<int64_t>(a.size())};
  const Var x = as_var(tensor(a, shape)), y = as_var(tensor(b, shape));
  struct Binary {
    const char* name;
    Var result;
    Real (*value)(Real, Real);
    Real (*slope_a)(Real, Real);
    Real (*slope_b)(Real, Real);
  };
  const std::vector<Binary> table{
      {"add", x + y, [](Real p, Real q) { return p + q; }, [](Real, Real) { return Real(1); },
       [](Real, Real) { return Real(1); }},
      {"sub", x - y, [](Real p, Real q) { return p - q; }, [](Real, Real) { return Real(1); },
       [](Real, Real) { return Real(-1); }},
      {"mul", x * y, [](Real p, Real q) { return p * q; }, [](Real, Real q) { return q; },
       [](Real p, Real) { return p; }},
      {"div", x / y, [](Real p, Real q) { return p / q; }, [](Real, Real q) { return 1 / q; },
       [](Real p, Real q) { return -(p / q) / q; }},
      {"minimum", minimum(x, y),
       [](Real p, Real q) { return p != p || q != q ? none : std::min(p, q); }, nullptr, nullptr},
      {"maximum", maximum(x, y),
       [](Real p, Real q) { return p != p || q != q ? none : std::max(p, q); }, nullptr, nullptr},
  };
  for (const Binary& row : table) {
    const std::vector<Var> slopes = grad(sum(row.result), {x, y});
    const std::vector<T> value = row.result.value().template to_vector<T>();
    const std::vector<T> of_a = slopes[0].value().to_vector<T>();
    const std::vector<T> of_b = slopes[1].value().to_vector<T>();
    for (size_t i = 0; i < a.size(); ++i) {
      INFO(row.name << " of " << a[i] << " and " << b[i] << ": " << value[i] << ", gradients "
                    << of_a[i] << " and " << of_b[i]);
      // One rounding; the long double's own may come before it.
      const bool rounds = !std::isnan(value[i]) && std::fabs(value[i]) > 4 * Limits::min();
      if (rounds) CHECK(agrees(value[i], row.value(a[i], b[i]), {.ulps = 1}));
      if (!rounds) CHECK(agrees(value[i], Real(T(row.value(a[i], b[i]))), {.ulps = 1}));
      if (row.slope_a == nullptr) continue;
      CHECK(agrees(of_a[i], row.slope_a(a[i], b[i]), {.ulps = 1}));
      // The gradient of a divisor is made of the other one's, which has to be finite and not 0.
      const T share = T(1) / b[i];
      const bool made_of_it = std::string_view(row.name) == "div";
      const bool lost = std::fabs(share) < Limits::min() || std::isinf(share);
      if (made_of_it && lost) continue;
      CHECK(agrees(of_b[i], row.slope_b(a[i], b[i]), {.ulps = 4}));
    }
  }
}

TEMPLATE_TEST_CASE("powers of 0, in derivatives of every order", "", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  const std::vector<T> points{T(0),
                              T(-0.0),
                              Limits::denorm_min(),
                              Limits::min(),
                              T(1e-20),
                              T(0.5),
                              T(1),
                              T(-1),
                              T(-2),
                              T(1e5),
                              Limits::max(),
                              -Limits::max(),
                              T(3),
                              Limits::infinity()};
  const auto n = static_cast<int64_t>(points.size());
  for (const int power : {0, 1, 2, 3}) {
    for (const bool spread : {false, true}) {  // the exponent as a number, and as an array
      Tape tape;
      const Var x = as_var(tensor(points, {n}));
      const Var exponents = as_var(full({n}, power, dtype_of<T>));
      Var y = spread ? pow(x, exponents) : pow(x, power);
      Real factor = 1;
      for (int order = 0; order <= 4; ++order) {
        const std::vector<T> values = y.value().template to_vector<T>();
        for (size_t i = 0; i < points.size(); ++i) {
          const Real want = factor == 0 ? 0 : factor * std::pow(Real(points[i]), power - order);
          INFO("derivative " << order << " of x^" << power << " at " << points[i] << ": "
                             << values[i]);
          CHECK(agrees(values[i], want, {.ulps = 4}));
        }
        y = grad(sum(y), {x})[0];
        factor *= power - order;
      }
    }
  }

  // Features 1, x, x^2, x^3 of 0, and the exponents' own gradient.
  Tape tape;
  const Var x = as_var(tensor(std::vector<T>{0, 2}, {2, 1}));
  const Var b = as_var(tensor(std::vector<T>{0, 1, 2, 3}, {4}));
  const Var y = pow(x, b);  // [2, 4]
  CHECK(grad(sum(y), {x})[0].value().template to_vector<T>() == std::vector<T>{1, 17});
  const std::vector<Var> both = grad(sum(y), {x, b});
  CHECK(both[0].value().template to_vector<T>() == std::vector<T>{1, 17});
  const std::vector<double> of_b = both[1].value().template to_vector<double>();
  for (size_t i = 0; i < 4; ++i) {
    CHECK(of_b[i] == Approx(std::log(2.) * std::pow(2., static_cast<double>(i))).epsilon(1e-6));
  }
  const Var large = as_var(full({}, std::numeric_limits<double>::infinity(), dtype_of<T>));
  const Var minus = as_var(full({}, -2, dtype_of<T>));
  CHECK(grad(pow(large, minus), {minus})[0].item() == 0);
}

TEMPLATE_TEST_CASE("binary cross-entropy keeps the digits of small losses", "", float, double) {
  using T = TestType;
  std::vector<T> logits, targets;
  for (const T x : edges<T>()) {
    for (const double t : {0., 0.25, 0.5, 0.9, 1.}) {
      if (std::isnan(x) || (std::isinf(x) && t != (x > 0 ? 1 : 0))) continue;
      logits.push_back(x);
      targets.push_back(T(t));
    }
  }
  Tape tape;
  const Shape shape{static_cast<int64_t>(logits.size())};
  const Var x = as_var(tensor(logits, shape)), t = as_var(tensor(targets, shape));
  const Var loss = binary_cross_entropy_with_logits(x, t, Reduction::none);
  const Var slope = grad(sum(loss), {x})[0], bend = grad(sum(slope), {x})[0];
  const std::vector<T> losses = loss.value().to_vector<T>(), slopes = slope.value().to_vector<T>();
  const std::vector<T> bends = bend.value().to_vector<T>();
  const auto softplus_of = [](Real z) {
    return z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z));
  };
  for (size_t i = 0; i < logits.size(); ++i) {
    const Real z = logits[i], p = targets[i];
    INFO("logit " << logits[i] << ", target " << targets[i] << ": " << losses[i] << ", "
                  << slopes[i] << ", " << bends[i]);
    // Sure and right, also where the logit is infinite.
    const Real right = std::isinf(z) ? 0 : p * softplus_of(-z) + (1 - p) * softplus_of(z);
    CHECK(agrees(losses[i], right, {.ulps = 6}));
    // Each target's part of the gradient is precise; where they cancel, that is what is lost.
    const Real up = (1 - p) * sigmoid_of(z), down = p * sigmoid_of(-z);
    const Real scale = std::max(up, down);
    CHECK(agrees(slopes[i], up - down,
                 {.ulps = 0, .absolute = 6 * scale + std::numeric_limits<Real>::min()}));
    CHECK(agrees(bends[i], sigmoid_of(z) * sigmoid_of(-z), {.ulps = 8}));
  }
}

TEMPLATE_TEST_CASE("reductions of what float only just holds", "", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  const T most = Limits::max(), least = Limits::denorm_min(), infinite = Limits::infinity();
  const T nan = Limits::quiet_NaN();
  struct Case {
    std::vector<T> x;
    T sum, mean, largest, smallest;
  };
  // A mean is a sum first: it overflows with it.
  const std::vector<Case> cases{
      {{0, T(-0.0)}, 0, 0, 0, 0},
      {{least, least}, 2 * least, least, least, least},
      {{Limits::min(), -least}, Limits::min() - least, Limits::min() / 2, Limits::min(), -least},
      {{most, -most}, 0, 0, most, -most},
      {{most, most}, infinite, infinite, most, most},
      {{infinite, 1}, infinite, infinite, infinite, 1},
      {{infinite, -infinite}, nan, nan, infinite, -infinite},
      {{nan, 1}, nan, nan, nan, nan},
      {{-infinite, -infinite}, -infinite, -infinite, -infinite, -infinite}};
  const auto same = [](double got, T want) {
    return std::isnan(want) ? std::isnan(got) : got == static_cast<double>(want);
  };
  for (const Case& c : cases) {
    // As a row and as a column, which other kernels reduce.
    for (const Shape& shape : {Shape{2}, Shape{2, 1}}) {
      Tape tape;
      const Var x = as_var(tensor(c.x, shape));
      INFO(c.x[0] << " and " << c.x[1]);
      CHECK(same(sum(x, 0).item(), c.sum));
      CHECK(same(mean(x, 0).item(), c.mean));
      CHECK(same(max(x, 0).item(), c.largest));
      CHECK(same(min(x, 0).item(), c.smallest));
      CHECK(grad(sum(x), {x})[0].value().template to_vector<T>() == std::vector<T>{1, 1});
      CHECK(grad(mean(x), {x})[0].value().template to_vector<T>() == std::vector<T>{0.5, 0.5});
    }
  }
}

TEST_CASE("long sums of floats keep their digits") {
  // Added one by one, a million times 0.1 is 1% off, and ten million times 9%.
  const int64_t n = 1 << 20;
  const double tenth = static_cast<double>(0.1f), right = static_cast<double>(n) * tenth;
  Tape tape;
  const Var x = as_var(full({n}, 0.1));
  const Var pairs = reshape(x, {n / 2, 2});
  CHECK(sum(x).item() == Approx(right).epsilon(1e-5));
  CHECK(mean(x).item() == Approx(tenth).epsilon(1e-5));
  CHECK(select(sum(pairs, 0), 0, 1).item() == Approx(right / 2).epsilon(1e-5));
  CHECK(select(sum_to(pairs, {2}), 0, 0).item() == Approx(right / 2).epsilon(1e-5));
  CHECK(mean(square(x - mean(x))).item() < 1e-14);
  CHECK(matmul(reshape(x, {1, n}), as_var(full({n, 1}, 1))).item() == Approx(right).epsilon(1e-5));
  const Var up = cumsum(x, 0), down = cumsum(x, 0, true), columns = cumsum(pairs, 0);
  for (const int64_t i : {int64_t{9999}, n / 2, n - 1}) {
    const double part = static_cast<double>(i + 1) * tenth;
    CHECK(select(up, 0, static_cast<int>(i)).item() == Approx(part).epsilon(1e-6));
    CHECK(select(down, 0, static_cast<int>(n - 1 - i)).item() == Approx(part).epsilon(1e-6));
  }
  CHECK(select(select(columns, 0, -1), 0, 1).item() == Approx(right / 2).epsilon(1e-6));
  // The gradient of a cumulative sum is one that runs the other way.
  const Var slope = grad(sum(up * tenth), {x})[0];
  CHECK(select(slope, 0, 0).item() == Approx(right).epsilon(1e-6));
}

}  // namespace rapt
