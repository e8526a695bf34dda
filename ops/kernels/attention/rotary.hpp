// Rotary positions: rotates pairs of a row's elements by one angle per pair.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// Arguments: rows of 2 * half elements, x_row and y_row elements apart. All rows use the same
/// angles. y may be x.
template <class T>
struct Rotation {
  const T* x;
  T* y;
  const T* cosines;  // [half]
  const T* sines;    // [half]
  int64_t half, rows, x_row, y_row;
  bool inverse;  // rotates backwards
};

template <class T>
struct RotaryFunctions {
  /// Computes y[i] = x[i] c[i] - x[i + half] s[i] and y[i + half] = x[i] s[i] + x[i + half] c[i].
  void (*rotate)(const Rotation<T>& rotation);
};

struct RotaryKernels {
  RotaryFunctions<float> f32;
  RotaryFunctions<double> f64;
};
RAPT_KERNEL_TABLE(RotaryKernels)

}  // namespace rapt::kernels
