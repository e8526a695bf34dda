// Transposes in registers, and reductions that use them. Shuffles stay within groups of 16 bytes.
#pragma once

#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Transposes groups: x holds one vector per row, and out[i] receives element i of each group.
template <class T>
inline void transpose_groups(const Short<T>* x, Short<T>* out) {
  const auto low = [](const Short<T>& a, const Short<T>& b) {
    return interleave_groups<false, T>(a, b);
  };
  const auto high = [](const Short<T>& a, const Short<T>& b) {
    return interleave_groups<true, T>(a, b);
  };
  if constexpr (sizeof(T) == 4) {
    const Short<T> t0 = low(x[0], x[2]), t1 = low(x[1], x[3]);
    const Short<T> t2 = high(x[0], x[2]), t3 = high(x[1], x[3]);
    out[0] = low(t0, t1);
    out[1] = high(t0, t1);
    out[2] = low(t2, t3);
    out[3] = high(t2, t3);
  } else {
    out[0] = low(x[0], x[1]);
    out[1] = high(x[0], x[1]);
  }
}

/// Reduces each of `group` vectors to one number. combine(a, b) joins lanes in a fixed order.
template <class T, class Combine>
inline void reduce_groups(const Vec<T>* x, T* out, const Combine& combine) {
  constexpr int64_t G = group<T>;
  Short<T> halves[G], y[G];
#pragma GCC unroll 4
  for (int64_t i = 0; i < G; ++i) halves[i] = combine_halves<T>(x[i], combine);
  transpose_groups<T>(halves, y);
  Short<T> all = combine(y[0], y[1]);
  if constexpr (G == 4) all = combine(all, combine(y[2], y[3]));
  store_combined_groups<T>(out, all, combine);
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
