// The elementary functions of the kernels, through one-instruction programs, against the C
// library's in long double.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "ops/kernels/elementwise/pointwise.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::kernels;

namespace {

using Real = long double;

template <class T>
std::vector<T> evaluate(Code code, const std::vector<T>& x, const std::vector<T>& b) {
  constexpr ElementType type = sizeof(T) == 4 ? ElementType::f32 : ElementType::f64;
  const Instruction instruction{code, 2, 0, 1, 0};
  const PointwiseOperand inputs[2] = {{type, {1}, 0}, {type, {1}, 1}};
  const PointwiseOperand output{type, {1}, 2};
  const PointwiseProgram p{&instruction, 1, 3, inputs, 2, &output, 1, {1, {int64_t(x.size())}}};
  std::vector<T> y(x.size());
  const void* in[2] = {x.data(), b.data()};
  void* out[1] = {y.data()};
  const PointwiseKernels& k = kernels<PointwiseKernels>();
  if constexpr (sizeof(T) == 4) {
    k.run_f32(p, {in, out, nullptr}, 0, int64_t(x.size()));
  } else {
    k.run_f64(p, {in, out, nullptr}, 0, int64_t(x.size()));
  }
  return y;
}

// Numbers of every exponent and sign, and more of those between -30 and 30.
template <class T>
std::vector<T> sweep() {
  std::vector<T> v;
  std::mt19937_64 random(11);
  if constexpr (sizeof(T) == 4) {
    for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += 16381) {
      const auto b = uint32_t(bits);
      float f;
      std::memcpy(&f, &b, 4);
      v.push_back(f);
    }
  } else {
    for (int i = 0; i < 100000; ++i) {
      const uint64_t b = random();
      double f;
      std::memcpy(&f, &b, 8);
      v.push_back(f);
    }
  }
  std::uniform_real_distribution<double> close(-30, 30), wide(-800, 800);
  for (int i = 0; i < 100000; ++i) v.push_back(T(close(random)));
  for (int i = 0; i < 30000; ++i) v.push_back(T(wide(random)));
  const T tiny = std::numeric_limits<T>::denorm_min(), inf = std::numeric_limits<T>::infinity();
  for (T x : {T(0), tiny, std::numeric_limits<T>::min(), T(1), std::numeric_limits<T>::max(), inf,
              std::numeric_limits<T>::quiet_NaN()}) {
    v.push_back(x);
    v.push_back(-x);
  }
  return v;
}

// Where results may have vanished: below the smallest normal number; in double, which xsimd
// computes, already below 1e-291.
template <class T>
constexpr Real lowest = sizeof(T) == 4 ? Real(std::numeric_limits<float>::min()) : 1e-291L;

// The largest error in units of the last place of the right result (but at least of
// `floor`), and where it is. NaN and infinity have to come out as such.
template <class T, class F>
double worst_error(Code code, F reference, Real floor = lowest<T>) {
  const std::vector<T> x = sweep<T>();
  const std::vector<T> y = evaluate(code, x, std::vector<T>(x.size(), T(1)));
  const int digits = std::numeric_limits<T>::digits;
  const Real largest = std::numeric_limits<T>::max();
  Real worst = 0;
  T at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const Real want = reference(Real(x[i]));
    if (std::isnan(want)) {
      INFO("of " << x[i] << " gave " << y[i]);
      REQUIRE(std::isnan(y[i]));
      continue;
    }
    // Within a few roundings of the largest number, infinity is as good; in double, above a half.
    const Real top =
        sizeof(T) == 4 ? largest * (1 - 8 * Real(std::numeric_limits<T>::epsilon())) : largest / 2;
    if (std::fabs(want) > top) {
      INFO("of " << x[i] << " gave " << y[i]);
      REQUIRE(std::fabs(y[i]) >= std::numeric_limits<T>::max() * T(0.49));
      REQUIRE((y[i] > 0) == (want > 0));
      continue;
    }
    INFO("of " << x[i] << " gave " << y[i] << " for " << want);
    REQUIRE(std::isfinite(y[i]));
    const Real scale = std::max<Real>(std::fabs(want), floor);
    const Real ulp = std::ldexp(Real(1), std::ilogb(scale) - digits + 1);
    const Real error = std::fabs(Real(y[i]) - want) / ulp;
    if (error > worst) {
      worst = error;
      at = x[i];
    }
  }
  UNSCOPED_INFO("largest error " << worst << " ulp, at " << at);
  return double(worst);
}

const Real root_half = std::sqrt(Real(0.5));
Real cdf(Real x) { return std::erfc(-x * root_half) / 2; }
Real density(Real x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(Real(-1))); }
Real sigm(Real x) { return 1 / (1 + std::exp(-x)); }
Real exp_of(Real x) { return std::exp(x); }
Real exp2_of(Real x) { return std::exp2(x); }
Real expm1_of(Real x) { return std::expm1(x); }
Real log_of(Real x) { return std::log(x); }
Real log1p_of(Real x) { return std::log1p(x); }
Real tanh_of(Real x) { return std::tanh(x); }
Real erf_of(Real x) { return std::erf(x); }
Real softplus(Real x) {
  return std::max(x, Real(0)) + std::log1p(std::exp(-std::fabs(x))) + (x != x ? x : 0);
}
Real silu(Real x) { return std::isinf(x) && x < 0 ? 0 : x * sigm(x); }
Real gelu(Real x) { return std::isinf(x) && x < 0 ? 0 : x * cdf(x); }
Real gelu_grad(Real x) { return std::isinf(x) ? Real(x > 0) : cdf(x) + x * density(x); }
Real silu_grad(Real x) { return std::isinf(x) ? Real(x > 0) : sigm(x) * (1 + x * (1 - sigm(x))); }

}  // namespace

// The bounds are what math.hpp promises with fused multiply-add, and some more for instruction sets
// without.
TEMPLATE_TEST_CASE("functions keep to their error bounds", "[math]", float, double) {
  using T = TestType;
  CHECK(worst_error<T>(Code::exp, exp_of) <= 1.5);
  CHECK(worst_error<T>(Code::exp2, exp2_of) <= 1.5);
  CHECK(worst_error<T>(Code::expm1, expm1_of) <= 2.5);
  CHECK(worst_error<T>(Code::log, log_of) <= 1.5);
  CHECK(worst_error<T>(Code::log1p, log1p_of) <= 1.5);
  CHECK(worst_error<T>(Code::tanh, tanh_of) <= 3);
  CHECK(worst_error<T>(Code::erf, erf_of) <= 3);
  CHECK(worst_error<T>(Code::softplus, softplus) <= 3.5);
  CHECK(worst_error<T>(Code::rsqrt, [](Real x) { return 1 / std::sqrt(x); }) <= 2);
  CHECK(worst_error<T>(Code::sin, [](Real x) { return std::sin(x); }) <= 2);
  CHECK(worst_error<T>(Code::cos, [](Real x) { return std::cos(x); }) <= 2);
  // Where e^-x overflows, sigmoid is 0, and silu with it.
  CHECK(worst_error<T>(Code::sigmoid, sigm, std::max(lowest<T>, 1e-31L)) <= 3);
  CHECK(worst_error<T>(Code::silu, silu, std::max(lowest<T>, 1e-29L)) <= 4);
  // The tail of gelu is e^(-x^2/2): in double, and without fused multiply-add, the rounding of x^2
  // shows. At -5 it is below 2e-6, and what is left of that matters to nobody.
  CHECK(worst_error<T>(Code::gelu, gelu, 1e-6L) <= 32);
  // Derivatives pass through 0: errors against 1, the size of the gradient they scale.
  CHECK(worst_error<T>(Code::gelu_grad, gelu_grad, 1) <= 3);
  CHECK(worst_error<T>(Code::silu_grad, silu_grad, 1) <= 3);
}
