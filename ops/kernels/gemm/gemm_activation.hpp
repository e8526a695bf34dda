// Activations of the matrix product. They run over rows that the tiles have just written, while
// these are in the cache.
#pragma once

#include "ops/kernels/gemm/gemm_arguments.hpp"
#include "ops/kernels/simd/math.hpp"
#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

template <Activation A, class T>
inline Vec<T> activation(const Vec<T>& x) {
  if constexpr (A == Activation::relu) {
    return xsimd::select(x < Vec<T>(T(0)), Vec<T>(T(0)), x);  // NaN stays NaN.
  } else if constexpr (A == Activation::gelu) {
    return gelu(x);
  } else if constexpr (A == Activation::tanh) {
    return tanh(x);
  } else if constexpr (A == Activation::sigmoid) {
    return sigmoid(x);
  } else {
    return silu(x);
  }
}

template <Activation A, class T>
void activate_rows(int64_t rows, int64_t columns, T* c, int64_t c_row) {
  constexpr int64_t L = lanes<T>;
  for (int64_t i = 0; i < rows; ++i, c += c_row) {
    int64_t j = 0;
    for (; j + L <= columns; j += L) store(c + j, activation<A, T>(load(c + j)));
    if (j < columns) {
      store_partial(c + j, activation<A, T>(load_partial(c + j, columns - j)), columns - j);
    }
  }
}

/// Applies the activation to C[rows, columns] in place.
template <class T>
void activate(Activation kind, int64_t rows, int64_t columns, T* c, int64_t c_row) {
  switch (kind) {
    case Activation::none:
      return;
    case Activation::relu:
      return activate_rows<Activation::relu>(rows, columns, c, c_row);
    case Activation::gelu:
      return activate_rows<Activation::gelu>(rows, columns, c, c_row);
    case Activation::tanh:
      return activate_rows<Activation::tanh>(rows, columns, c, c_row);
    case Activation::sigmoid:
      return activate_rows<Activation::sigmoid>(rows, columns, c, c_row);
    case Activation::silu:
      return activate_rows<Activation::silu>(rows, columns, c, c_row);
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
