// Pooling of planes: the largest, or the mean, of windows.
#pragma once

#include <cstdint>
#include <rapt/ops/kernels/table.hpp>

namespace rapt::kernels {

/// Windows over rows (0) and columns (1): every one holds at least one element of the plane.
struct PoolShape {
  int64_t in[2], out[2], kernel[2], stride[2], padding[2];
};

template <class T>
struct PoolFunctions {
  /// The largest of each window, and where in the plane it lies: the first one, or the last NaN.
  /// `row`: working memory for 2 * in[1] elements.
  void (*max)(const PoolShape& shape, const T* x, T* y, int32_t* index, T* row);
  /// The sum of each window times `scale`. `row`: in[1] elements.
  void (*sum)(const PoolShape& shape, const T* x, T* y, T scale, T* row);
  /// The transposed of sum: every element of g times `scale` into all of its window, where the
  /// windows overlap added up. `row`: out[1] elements.
  void (*spread)(const PoolShape& shape, const T* g, T* x, T scale, T* row);
};

struct PoolKernels {
  PoolFunctions<float> f32;
  PoolFunctions<double> f64;
};
RAPT_KERNEL_TABLE(PoolKernels)

}  // namespace rapt::kernels
