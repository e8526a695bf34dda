// Elementary functions of vectors. In float these are our own polynomials, fitted by the Remez
// algorithm; they are about twice as fast as those of xsimd. In double, which is used to check
// gradients, they are xsimd's functions.
//
// The errors given below are the largest found in float with fused multiply-add over all exponents.
// tests/kernels/math_kernel_test.cpp checks every instruction set against them, with a margin. NaN
// gives NaN. Results beyond the range of float give infinity or zero. In double, results below
// 1e-291 may be 0, and results above half of the largest number may be infinity.
#pragma once

#include <limits>
#include <type_traits>

#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Returns the minimum and maximum of v and a bound, and NaN if v is NaN. This relies on x86
/// returning the second operand.
template <class T>
inline Vec<T> at_most(const Vec<T>& v, T bound) {
  return xsimd::min(Vec<T>(bound), v);
}
template <class T>
inline Vec<T> at_least(const Vec<T>& v, T bound) {
  return xsimd::max(Vec<T>(bound), v);
}

/// Returns a != b, which is true if either is NaN. xsimd 8's own version is false for NaN except
/// with SSE2.
template <class T>
inline xsimd::batch_bool<T, Arch> not_equal(const Vec<T>& a, const Vec<T>& b) {
  return ~(a == b);
}

/// Returns c[0] + c[1] x + c[2] x^2 ...
template <class T, class... C>
inline Vec<T> polynomial(const Vec<T>& x, T c0, C... rest) {
  if constexpr (sizeof...(rest) == 0) {
    return Vec<T>(c0);
  } else {
    return multiply_add(x, polynomial(x, rest...), Vec<T>(c0));
  }
}

template <class T>
inline Vec<T> sign_bit(const Vec<T>& x) {
  return x & Vec<T>(T(-0.0));
}

namespace detail {

/// Applies f to each lane, for functions that the C library does best.
template <class T, class F>
inline Vec<T> by_lane(F f, const Vec<T>& a, const Vec<T>& b) {
  T x[Vec<T>::size];
  T y[Vec<T>::size];
  store(x, a);
  store(y, b);
  for (int64_t i = 0; i < lanes<T>; ++i) x[i] = f(x[i], y[i]);
  return load(x);
}

// Adding this to |x| < 2^22 leaves x, rounded to an integer, in the low bits.
inline constexpr float round_magic = 12582912.f;

/// An integer n as a float, and the same n as round_magic + n.
struct Rounded {
  Vec<float> value, shifted;
};

inline Rounded round_scaled(const Vec<float>& x, float scale) {
  const Vec<float> shifted = multiply_add(x, Vec<float>(scale), Vec<float>(round_magic));
  return {shifted - Vec<float>(round_magic), shifted};
}

/// Returns 2^(k + offset), which must be a normal number.
inline Vec<float> power_of_two(const Vec<int32_t>& k, int32_t offset = 0) {
  return reinterpret<float>((k + Vec<int32_t>(127 + offset)) << 23);
}

inline Vec<int32_t> integer(const Rounded& n) {
  return reinterpret<int32_t>(n.shifted) - reinterpret<int32_t>(Vec<float>(round_magic));
}

/// Returns v * 2^n. Also correct if 2^n or the result is denormal or overflows.
template <class V>
inline V scale(const V& v, const Rounded& n) {
  if constexpr (isa.scales) {
    return scale_by_power(v, n.value);
  } else {
    const Vec<int32_t> k = integer(n);
    const Vec<int32_t> half = k >> 1;
    return v * power_of_two(half) * power_of_two(k - half);
  }
}

/// Returns x - n log(2), in two steps because log(2) needs more digits than one float has.
inline Vec<float> reduce(const Vec<float>& x, const Vec<float>& n) {
  return multiply_add(n, Vec<float>(2.12194440e-4f), multiply_add(n, Vec<float>(-0.693359375f), x));
}

/// Returns 2^r for -1/2 <= r <= 1/2.
inline Vec<float> exp2_fraction(const Vec<float>& r) {
  const Vec<float> p = polynomial(r, 0.693147203f, 0.240226479f, 0.05550332164f, 0.009618438615f,
                                  0.001339900316f, 0.0001535325041f);
  return multiply_add(r, p, Vec<float>(1.f));
}

}  // namespace detail

/// Returns e^x. Error 1 ulp; denormal results are correct.
template <class T>
inline Vec<T> exp(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    const Vec<T> y = at_least(at_most(x, 89.f), -104.f);
    const detail::Rounded n = detail::round_scaled(y, 1.44269504f);
    const Vec<T> r = detail::reduce(y, n.value);
    const Vec<T> p = polynomial(r, 0.4999999341f, 0.1666652011f, 0.04166839358f, 0.008368780485f,
                                0.001381450698f);
    return detail::scale(multiply_add(r * r, p, r) + Vec<T>(1.f), n);
  } else {
    return xsimd::exp(x);
  }
}

/// Returns 2^x. Error 1 ulp; denormal results are correct.
template <class T>
inline Vec<T> exp2(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    const Vec<T> y = at_least(at_most(x, 129.f), -151.f);
    const detail::Rounded n = detail::round_scaled(y, 1.f);
    return detail::scale(detail::exp2_fraction(y - n.value), n);
  } else {
    return xsimd::exp2(x);
  }
}

/// Returns 2^x for softmax weights, for x below 127. Results that would be denormal are 0, like
/// those of hidden keys: creating a denormal costs over a hundred cycles on some processors. Other
/// results have the bits of exp2.
template <class T>
inline Vec<T> weight_exp2(const Vec<T>& x) {
  constexpr T least = std::numeric_limits<T>::min_exponent - 1;
  const Vec<T> y = at_least(x, least);
  if constexpr (std::is_same_v<T, float>) {
    // As exp2, except that the normal result is scaled by adding to its exponent bits.
    const detail::Rounded n = detail::round_scaled(y, 1.f);
    const Vec<int32_t> exponent = reinterpret<int32_t>(n.shifted) << 23;
    const Vec<T> p = detail::exp2_fraction(y - n.value);
    const Vec<T> scaled = reinterpret<float>(reinterpret<int32_t>(p) + exponent);
    return xsimd::select(x < Vec<T>(least), Vec<T>(T(0)), scaled);
  } else {
    return xsimd::select(x < Vec<T>(least), Vec<T>(T(0)), xsimd::exp2(y));
  }
}

/// Returns e^x - 1, accurate near 0. Error 1.6 ulp.
template <class T>
inline Vec<T> expm1(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    const Vec<T> y = at_least(at_most(x, 89.f), -30.f);
    const detail::Rounded n = detail::round_scaled(y, 1.44269504f);
    const Vec<T> r = detail::reduce(y, n.value);
    const Vec<T> p = polynomial(r, 0.4999999814f, 0.1666654318f, 0.04166720207f, 0.008366580499f,
                                0.001388249311f);
    const Vec<T> q = multiply_add(r * r, p, r);  // e^r - 1
    // Half of the result is computed first, because 2^n may overflow where the result does not.
    const Vec<T> s = detail::power_of_two(detail::integer(n), -1);
    const Vec<T> half = multiply_add(s, q, s - Vec<T>(0.5f));
    return half + half;
  } else {
    return xsimd::expm1(x);
  }
}

/// Returns the natural logarithm. Error 0.8 ulp; log(0) = -inf, and NaN below 0.
template <class T>
inline Vec<T> log(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    using I = Vec<int32_t>;
    constexpr float inf = std::numeric_limits<float>::infinity();
    const auto tiny = x < Vec<T>(std::numeric_limits<float>::min());
    const Vec<T> y = xsimd::select(tiny, x * Vec<T>(8388608.f), x);
    // y = 2^e m with m in [sqrt(1/2), sqrt(2)).
    const I sqrt_half(0x3f3504f3);
    const I bits = reinterpret<int32_t>(y) - sqrt_half;
    const Vec<T> e = xsimd::to_float(bits >> 23) - xsimd::select(tiny, Vec<T>(23.f), Vec<T>(0.f));
    const Vec<T> m = reinterpret<float>((bits & I(0x007fffff)) + sqrt_half) - Vec<T>(1.f);
    const Vec<T> p = polynomial(m, 0.3333333171f, -0.2500082102f, 0.2000122659f, -0.1662335766f,
                                0.1420176348f, -0.1316018402f, 0.1276154469f, -0.07634456529f);
    const Vec<T> square = m * m;
    Vec<T> low = multiply_add(square * m, p, e * Vec<T>(-2.12194440e-4f));
    low = multiply_add(square, Vec<T>(-0.5f), low);
    Vec<T> r = multiply_add(e, Vec<T>(0.693359375f), m + low);
    r = xsimd::select(x < Vec<T>(inf), r, x);
    r = xsimd::select(x < Vec<T>(0.f), Vec<T>(std::numeric_limits<float>::quiet_NaN()), r);
    return xsimd::select(x == Vec<T>(0.f), Vec<T>(-inf), r);
  } else {
    // xsimd's log treats denormal numbers as 0.
    const auto tiny = x < Vec<T>(std::numeric_limits<T>::min());
    const Vec<T> y = xsimd::log(xsimd::select(tiny, x * Vec<T>(0x1p54), x));
    return y - xsimd::select(tiny, Vec<T>(54 * 0.69314718055994530942), Vec<T>(0));
  }
}

/// Returns log(1 + x), accurate near 0. Error 0.8 ulp.
template <class T>
inline Vec<T> log1p(const Vec<T>& x) {
  return xsimd::select(x == Vec<T>(0), x, xsimd::log1p(x));
}

/// Returns the hyperbolic tangent. Error 2.2 ulp.
template <class T>
inline Vec<T> tanh(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    const Vec<T> e = expm1(at_most(xsimd::abs(x) * Vec<T>(2.f), 20.f));
    return (e / (e + Vec<T>(2.f))) | sign_bit(x);
  } else {
    return xsimd::tanh(x);
  }
}

/// Returns 1 / (1 + e^-x). Error 2 ulp down to x = -87; 0 from -89 on.
template <class T>
inline Vec<T> sigmoid(const Vec<T>& x) {
  return Vec<T>(1) / (Vec<T>(1) + exp(-x));
}

/// Returns x sigmoid(x) (SiLU, swish). At -inf it returns the limit 0.
template <class T>
inline Vec<T> silu(const Vec<T>& x) {
  return at_least(x, T(-800)) * sigmoid(x);
}

/// Returns the derivative of silu, s (1 + x (1 - s)) with s = sigmoid(x). Error 3 ulp of 1.
template <class T>
inline Vec<T> silu_derivative(const Vec<T>& x) {
  // Outside these bounds the derivative is 0 or 1, and e^-x would overflow.
  constexpr T bound = sizeof(T) == 4 ? T(80) : T(700);
  const Vec<T> y = at_most(at_least(x, -bound), bound);
  const Vec<T> e = exp(-y);
  const Vec<T> s = Vec<T>(1) / (Vec<T>(1) + e);
  // 1 - s equals e s, which avoids cancellation.
  return s * multiply_add(y, e * s, Vec<T>(1));
}

/// Returns log(1 + e^x), which equals x for large x. Error 2.8 ulp.
template <class T>
inline Vec<T> softplus(const Vec<T>& x) {
  const Vec<T> u = exp(-xsimd::abs(x));
  if constexpr (std::is_same_v<T, float>) {
    const Vec<T> p =
        polynomial(u, 0.9999999699f, -0.4999949313f, 0.3331909659f, -0.2484298032f, 0.1910599947f,
                   -0.1366323099f, 0.07822578774f, -0.02950514473f, 0.005232672477f);
    return multiply_add(u, p, at_least(x, 0.f));
  } else {
    return at_least(x, T(0)) + xsimd::log1p(u);
  }
}

/// Returns t softplus(-x) + (1 - t) softplus(x). Computed as softplus(-|x|) + |x| (1 - t), with t
/// in place of 1 - t for x < 0. Both terms have the same sign for 0 <= t <= 1. Error 4 ulp. If t is
/// 0 or 1 and x is infinite with the correct sign, the loss is 0.
template <class T>
inline Vec<T> logistic_loss(const Vec<T>& x, const Vec<T>& t) {
  const Vec<T> zero(T(0));
  const Vec<T> wrong = xsimd::select(x > zero, Vec<T>(1) - t, t);
  const Vec<T> size = xsimd::abs(x);
  return softplus(-size) + xsimd::select(wrong == zero, zero, size * wrong);
}

/// Returns the derivative by x, (1 - t) sigmoid(x) - t sigmoid(-x). Both terms are accurate: error
/// 3 ulp of the larger.
template <class T>
inline Vec<T> logistic_loss_derivative(const Vec<T>& x, const Vec<T>& t) {
  const Vec<T> e = exp(-xsimd::abs(x));
  const Vec<T> likely = Vec<T>(1) / (Vec<T>(1) + e);  // sigmoid(|x|)
  const Vec<T> unlikely = e * likely;
  const auto up = x > Vec<T>(T(0));
  const Vec<T> other = Vec<T>(1) - t;
  return other * xsimd::select(up, likely, unlikely) - t * xsimd::select(up, unlikely, likely);
}

/// The standard normal distribution at one point.
template <class T>
struct Normal {
  Vec<T> cumulative, density;
};

/// Returns the cumulative distribution and the density of the standard normal distribution. One
/// exponential gives both. The lower tail has a relative error of 1e-6, or 5e-6 without fused
/// multiply-add.
template <class T>
inline Normal<T> normal(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    const Vec<T> a = at_most(xsimd::abs(x), 14.5f);
    // The rounding error of a^2 matters in the tail, so e^(-a^2/2) is corrected for it.
    const Vec<T> square = a * a;
    const Vec<T> error = multiply_add(a, a, -square);
    const Vec<T> e = exp(square * Vec<T>(-0.5f)) * multiply_add(error, Vec<T>(-0.5f), Vec<T>(1.f));
    const Vec<T> t = Vec<T>(1.f) / multiply_add(a, Vec<T>(0.35f), Vec<T>(1.f));
    const Vec<T> p =
        polynomial(t, 0.1396214044f, 0.1398618675f, 0.1198328865f, 0.105507915f, -0.02310958681f,
                   0.1591737405f, -0.2557138332f, 0.1439714679f, -0.02914587776f);
    const Vec<T> tail = e * (t * p);
    return {xsimd::select(x < Vec<T>(0.f), tail, Vec<T>(1.f) - tail), e * Vec<T>(0.3989422804f)};
  } else {
    const Vec<T> y = at_least(at_most(x, T(40)), T(-40));
    // xsimd's erfc loses digits in the tail.
    const auto erfc = [](T v, T) { return __builtin_erfc(v); };
    const Vec<T> z = y * Vec<T>(-0.70710678118654752440);
    return {Vec<T>(0.5) * detail::by_lane<T>(erfc, z, z),
            Vec<T>(0.39894228040143267794) * xsimd::exp(y * y * Vec<T>(-0.5))};
  }
}

/// Returns the error function. Error 2.4 ulp.
template <class T>
inline Vec<T> erf(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    const Vec<T> square = x * x;
    const Vec<T> near =
        x * polynomial(square, 1.128379166f, -0.3761262582f, 0.1128358514f, -0.02685381174f,
                       0.005188327326f, -0.0008010190549f, 7.853851366e-5f);
    const Vec<T> tail = normal(xsimd::abs(x) * Vec<T>(-1.41421356237f)).cumulative;
    const Vec<T> far = multiply_add(tail, Vec<T>(-2.f), Vec<T>(1.f)) | sign_bit(x);
    return xsimd::select(square < Vec<T>(1.f), near, far);
  } else {
    return detail::by_lane<T>([](T v, T) { return __builtin_erf(v); }, x, x);
  }
}

/// Returns x Phi(x), the exact (error function) form of GELU (Hendrycks and Gimpel,
/// arXiv:1606.08415). Error 6 ulp down to x = -5; 17 ulp in the tail without fused multiply-add.
template <class T>
inline Vec<T> gelu(const Vec<T>& x) {
  return at_least(x, T(-40)) * normal(x).cumulative;
}

/// Returns the derivative of gelu, Phi(x) + x phi(x). Error 2 ulp of 1.
template <class T>
inline Vec<T> gelu_derivative(const Vec<T>& x) {
  const Normal<T> n = normal(x);
  return multiply_add(at_most(at_least(x, T(-40)), T(40)), n.density, n.cumulative);
}

template <class T>
inline Vec<T> rsqrt(const Vec<T>& x) {
  return Vec<T>(1) / xsimd::sqrt(x);
}

/// Returns the sine, by the C library for each lane. xsimd's version would instantiate functions
/// that are not specific to the instruction set. The linker could keep such a copy for older
/// processors as well.
template <class T>
inline Vec<T> sin(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    return detail::by_lane<T>([](T v, T) { return __builtin_sinf(v); }, x, x);
  } else {
    return detail::by_lane<T>([](T v, T) { return __builtin_sin(v); }, x, x);
  }
}

template <class T>
inline Vec<T> cos(const Vec<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    return detail::by_lane<T>([](T v, T) { return __builtin_cosf(v); }, x, x);
  } else {
    return detail::by_lane<T>([](T v, T) { return __builtin_cos(v); }, x, x);
  }
}

/// Returns a^b, by the C library for each lane. Common exponents have instructions of their own.
template <class T>
inline Vec<T> pow(const Vec<T>& a, const Vec<T>& b) {
  if constexpr (std::is_same_v<T, float>) {
    return detail::by_lane<T>([](T x, T y) { return __builtin_powf(x, y); }, a, b);
  } else {
    return detail::by_lane<T>([](T x, T y) { return __builtin_pow(x, y); }, a, b);
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
