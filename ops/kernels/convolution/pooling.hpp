// Pooling of planes: the maximum or the mean of windows.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// Windows over rows (0) and columns (1). Every window contains at least one element of the plane.
struct PoolShape {
  int64_t in[2], out[2], kernel[2], stride[2], padding[2];
};

/// Returns the number of scratch elements that a call needs.
constexpr int64_t pool_scratch(const PoolShape& s) {
  return 2 * (s.in[1] + 1) + 2 * (s.in[1] + 2 * s.padding[1] + 2 * s.kernel[1] + s.stride[1]);
}

template <class T>
struct PoolFunctions {
  /// Computes the maximum of each window and its index in the plane. Of equal maxima the first
  /// counts; NaN counts as the maximum.
  void (*max)(const PoolShape& shape, const T* x, T* y, int32_t* index, T* scratch);
  /// Computes the sum of each window times `scale`.
  void (*sum)(const PoolShape& shape, const T* x, T* y, T scale, T* scratch);
  /// Computes the transpose of sum: an element of x is the sum, times `scale`, of the elements of g
  /// whose windows contain it. It is 0 if there is none.
  void (*spread)(const PoolShape& shape, const T* g, T* x, T scale, T* scratch);
};

struct PoolKernels {
  PoolFunctions<float> f32;
  PoolFunctions<double> f64;
};
RAPT_KERNEL_TABLE(PoolKernels)

}  // namespace rapt::kernels
