// Semantics of each code of a pointwise program, for one vector.
#pragma once

#include <cstddef>
#include <utility>

#include "ops/kernels/elementwise/pointwise_program.hpp"
#include "ops/kernels/simd/math.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

template <class V, class M>
inline V truth(const M& mask) {
  return xsimd::select(mask, V(1), V(0));
}

template <class V>
inline V narrowed(const V& a) {
  typename V::value_type wide[V::size];
  float narrow[V::size];
  a.store_unaligned(wide);
  for (std::size_t i = 0; i < V::size; ++i) narrow[i] = static_cast<float>(wide[i]);
  // GCC 12 would optimise away the conversion to float and back.
  asm volatile("" : "+m"(narrow));
  for (std::size_t i = 0; i < V::size; ++i) wide[i] = narrow[i];
  return V::load_unaligned(wide);
}

/// Returns a modulo 2^32 in the range of int32. Adding 0 turns -0 into 0.
template <class V>
inline V wrapped_int32(const V& a) {
  using T = typename V::value_type;
  return a - xsimd::floor((a + V(T(0x1p31))) * V(T(0x1p-32))) * V(T(0x1p32)) + V(0);
}

template <class T>
inline T multiplied_int32(T a, T b) {
  return static_cast<T>(static_cast<int32_t>(static_cast<uint32_t>(static_cast<int32_t>(a)) *
                                             static_cast<uint32_t>(static_cast<int32_t>(b))));
}

template <class T>
inline T power_int32(T a, T b) {
  if (b < T(0))
    return a == T(1) ? T(1) : a == T(-1) ? (static_cast<int32_t>(b) % 2 == 0 ? T(1) : T(-1)) : T(0);
  auto factor = static_cast<uint32_t>(static_cast<int32_t>(a));
  uint32_t power = 1;
  for (auto rest = static_cast<uint32_t>(static_cast<int32_t>(b)); rest != 0; rest /= 2) {
    if (rest % 2 != 0) power *= factor;
    factor *= factor;
  }
  return static_cast<T>(static_cast<int32_t>(power));
}

template <class V>
inline V truncated_int32(const V& a) {
  const V number = xsimd::trunc(xsimd::select(a == a, a, V(0)));
  using T = typename V::value_type;
  return xsimd::min(xsimd::max(number, V(T(-0x1p31))), V(T(0x1p31 - 1))) + V(0);
}

template <class T, Code code>
inline Vec<T> apply(const Vec<T>& a, const Vec<T>& b, const Vec<T>& c) {
  using V = Vec<T>;
  const V zero(0);
  const V one(1);
  if constexpr (code == Code::copy) return a;
  if constexpr (code == Code::add) return a + b;
  if constexpr (code == Code::sub) return a - b;
  if constexpr (code == Code::mul) return a * b;
  if constexpr (code == Code::div) return a / b;
  if constexpr (code == Code::pow) return pow(a, b);
  // x86 returns the second operand if either is NaN. Here a NaN in the first must propagate as
  // well.
  if constexpr (code == Code::minimum) return xsimd::select(not_equal(a, a), a, xsimd::min(a, b));
  if constexpr (code == Code::maximum) return xsimd::select(not_equal(a, a), a, xsimd::max(a, b));
  if constexpr (code == Code::neg) return -a;
  if constexpr (code == Code::abs) return xsimd::abs(a);
  if constexpr (code == Code::exp) return exp(a);
  if constexpr (code == Code::exp2) return exp2(a);
  if constexpr (code == Code::expm1) return expm1(a);
  if constexpr (code == Code::log) return log(a);
  if constexpr (code == Code::log1p) return log1p(a);
  if constexpr (code == Code::sqrt) return xsimd::sqrt(a);
  if constexpr (code == Code::rsqrt) return rsqrt(a);
  if constexpr (code == Code::sin) return sin(a);
  if constexpr (code == Code::cos) return cos(a);
  if constexpr (code == Code::tanh) return tanh(a);
  if constexpr (code == Code::erf) return erf(a);
  if constexpr (code == Code::sigmoid) return sigmoid(a);
  if constexpr (code == Code::relu) return at_least(a, T(0));
  if constexpr (code == Code::gelu) return gelu(a);
  if constexpr (code == Code::silu) return silu(a);
  if constexpr (code == Code::softplus) return softplus(a);
  if constexpr (code == Code::square) return a * a;
  if constexpr (code == Code::reciprocal) return one / a;
  if constexpr (code == Code::sign) {
    return xsimd::select(a > zero, one, xsimd::select(a < zero, -one, a));
  }
  if constexpr (code == Code::floor) return xsimd::floor(a);
  if constexpr (code == Code::ceil) return xsimd::ceil(a);
  if constexpr (code == Code::wrap_int32) return wrapped_int32(a);
  if constexpr (code == Code::mul_int32) return detail::by_lane<T>(multiplied_int32<T>, a, b);
  if constexpr (code == Code::div_int32) {
    return wrapped_int32(xsimd::select(b == zero, zero, xsimd::trunc(a / b)));
  }
  if constexpr (code == Code::pow_int32) return detail::by_lane<T>(power_int32<T>, a, b);
  if constexpr (code == Code::to_int32) return truncated_int32(a);
  if constexpr (code == Code::narrow) return narrowed(a);
  if constexpr (code == Code::multiply_add) return multiply_add(a, b, c);
  if constexpr (code == Code::where) return xsimd::select(not_equal(a, zero), b, c);
  if constexpr (code == Code::clamp) return xsimd::min(c, xsimd::max(b, a));
  if constexpr (code == Code::equal) return truth<V>(a == b);
  if constexpr (code == Code::not_equal) return truth<V>(not_equal(a, b));
  if constexpr (code == Code::less) return truth<V>(a < b);
  if constexpr (code == Code::less_equal) return truth<V>(a <= b);
  if constexpr (code == Code::greater) return truth<V>(a > b);
  if constexpr (code == Code::greater_equal) return truth<V>(a >= b);
  if constexpr (code == Code::logical_and) return truth<V>(not_equal(a, zero) & not_equal(b, zero));
  if constexpr (code == Code::logical_or) return truth<V>(not_equal(a, zero) | not_equal(b, zero));
  if constexpr (code == Code::logical_not) return truth<V>(a == zero);
  if constexpr (code == Code::relu_grad) return xsimd::select(a <= zero, zero, b);
  if constexpr (code == Code::gelu_grad) return b * gelu_derivative(a);
  if constexpr (code == Code::silu_grad) return b * silu_derivative(a);
  if constexpr (code == Code::softplus_grad) return b * sigmoid(a);
  if constexpr (code == Code::sigmoid_grad) return b * (a * (one - a));
  if constexpr (code == Code::logistic_loss) return logistic_loss(a, b);
  if constexpr (code == Code::logistic_loss_grad) return c * logistic_loss_derivative(a, b);
  if constexpr (code == Code::tanh_grad) return b * (one - a * a);
}

/// One function per code, except for dropout, which is not a function of its operands alone.
template <class F>
struct CodeTable {
  F of[code_count];
};

/// Returns the table of make.operator()<code>().
template <class F, class Make, std::size_t... i>
constexpr CodeTable<F> code_table(const Make& make, std::index_sequence<i...>) {
  return {{make.template operator()<static_cast<Code>(i)>()..., nullptr}};
}
template <class F, class Make>
constexpr CodeTable<F> code_table(const Make& make) {
  return code_table<F>(make, std::make_index_sequence<code_count - 1>{});
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
