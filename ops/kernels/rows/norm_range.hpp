// Normalisation of rows whose squares leave the range of T: the square of 1e30 overflows in float,
// that of 1e-30 underflows to 0. Such rows are rare, so these are plain loops in double. The row is
// first divided by a power of two.
#pragma once

#include <limits>

#include "ops/kernels/rows/row_arguments.hpp"
#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Number of elements summed in T before the partial sum is added in double.
inline constexpr int64_t norm_piece = 8192;

/// True if the mean of squares plus epsilon was computed without overflow or underflow.
template <class T>
inline bool in_range(T variance) {
  constexpr T least = sizeof(T) == 4 ? T(1e-28) : T(1e-270);
  return variance > least && variance < std::numeric_limits<T>::infinity();
}

/// True if a row's backward pass can be computed in T.
template <class T>
inline bool in_range_backward(T rstd) {
  constexpr T bound = sizeof(T) == 4 ? T(1e30) : T(1e250);
  return rstd > T(1) / bound && rstd < bound;
}

/// Returns 2^-e for a row whose largest magnitude is about 2^e.
template <class T>
inline double row_scale(const T* x, int64_t n) {
  double most = 0;
  for (int64_t j = 0; j < n; ++j) {
    const double size = __builtin_fabs(static_cast<double>(x[j]));
    most = size > most ? size : most;
  }
  int exponent = 0;
  if (most > 0 && most < std::numeric_limits<double>::infinity()) {
    (void)__builtin_frexp(most, &exponent);
  }
  return __builtin_ldexp(1.0, exponent < -1000 ? 1000 : -exponent);
}

template <class T, bool centred>
[[gnu::noinline]] void norm_out_of_range(const NormForward<T>& s, int64_t r) {
  const int64_t n = s.width;
  const T* x = s.x + r * n;
  const double scale = row_scale(x, n);
  double mean = 0;
  if constexpr (centred) {
    for (int64_t j = 0; j < n; ++j) mean += static_cast<double>(x[j]) * scale;
    mean /= static_cast<double>(n);
    s.mean[r] = T(mean / scale);
  }
  double squares = 0;
  for (int64_t j = 0; j < n; ++j) {
    const double d = static_cast<double>(x[j]) * scale - mean;
    squares += d * d;
  }
  const double variance =
      squares / static_cast<double>(n) + static_cast<double>(s.epsilon) * scale * scale;
  const double rstd = 1 / __builtin_sqrt(variance);
  s.rstd[r] = T(rstd * scale);
  for (int64_t j = 0; j < n; ++j) {
    double v = (static_cast<double>(x[j]) * scale - mean) * rstd;
    if (s.gamma != nullptr) v *= static_cast<double>(s.gamma[j]);
    if (centred && s.beta != nullptr) v += static_cast<double>(s.beta[j]);
    s.y[r * n + j] = T(v);
  }
}

template <class T, bool centred>
[[gnu::noinline]] void norm_backward_out_of_range(const NormBackward<T>& s, int64_t r, T* dgamma,
                                                  T* dbeta) {
  const int64_t n = s.width;
  const T* x = s.x + r * n;
  const T* dy = s.dy + r * n;
  const auto rstd = static_cast<double>(s.rstd[r]);
  const double mean = centred ? static_cast<double>(s.mean[r]) : 0;
  const auto xhat = [&](int64_t j) {
    return (static_cast<double>(x[j]) / 4 - mean / 4) * rstd * 4;
  };
  const auto h = [&](int64_t j) {
    return static_cast<double>(dy[j]) * (s.gamma != nullptr ? static_cast<double>(s.gamma[j]) : 1);
  };
  double mean_h = 0, mean_hx = 0;
  for (int64_t j = 0; j < n; ++j) {
    if constexpr (centred) mean_h += h(j);
    mean_hx += h(j) * xhat(j);
    if (dgamma != nullptr) {
      dgamma[j] = T(static_cast<double>(dgamma[j]) + static_cast<double>(dy[j]) * xhat(j));
      if constexpr (centred) dbeta[j] += dy[j];
    }
  }
  mean_h /= static_cast<double>(n);
  mean_hx /= static_cast<double>(n);
  if (s.dx == nullptr) return;
  for (int64_t j = 0; j < n; ++j) {
    s.dx[r * n + j] = T((h(j) - mean_h - xhat(j) * mean_hx) * rstd);
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
