// The matrix product as plain loops in double precision. The tests compare the kernels with it.
#pragma once

#include <cmath>

#include "ops/kernels/gemm/gemm_arguments.hpp"

namespace rapt::kernels::reference {

/// Returns the activation of x.
inline double activate(Activation kind, double x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0 ? 0 : x;
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
  }
  return x;
}

/// Returns element [i, j] of an item of C, as the product should leave it.
template <class T>
double gemm(const Gemm<T>& g, int64_t item, int64_t i, int64_t j) {
  const T* const a = g.a + item * g.a_batch + i * g.a_row;
  const T* const b = g.b + item * g.b_batch + j * g.b_col;
  const int64_t at = item * g.c_batch + i * g.c_row + j;
  double sum = 0;
  for (int64_t p = 0; p < g.k; ++p) {
    sum += static_cast<double>(a[p * g.a_col]) * static_cast<double>(b[p * g.b_row]);
  }
  double x = static_cast<double>(g.alpha) * sum;
  if (g.beta != 0) x += static_cast<double>(g.beta) * static_cast<double>(g.c[at]);
  if (g.bias != nullptr) x += static_cast<double>(g.bias[j]);
  x = activate(g.activation, x);
  return g.residual != nullptr ? x + static_cast<double>(g.residual[at]) : x;
}

}  // namespace rapt::kernels::reference
