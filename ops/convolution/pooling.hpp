// Pooling: the largest, or the mean, of windows over sequences and planes.
#pragma once

#include "framework/core/api.hpp"
#include "ops/convolution/window.hpp"

namespace rapt RAPT_API {

struct PoolOptions1d {
  int64_t kernel;
  int64_t stride = 0;   ///< 0: the kernel's size, so that windows lie side by side.
  int64_t padding = 0;  ///< At either end; at most half the kernel.
};

struct PoolOptions2d {
  Size2 kernel;
  Size2 stride = 0;
  Size2 padding = 0;
};

/// The largest of each window of the last axis: x [.., T] gives
/// [.., (T + 2 padding - kernel) / stride + 1]. Padding is never the largest. The gradient goes to
/// the first of elements that are equally large. A window with a NaN gives NaN.
///
/// Throws Error for other than float arrays, for a padding of more than half the kernel, and for a
/// kernel that is larger than the padded input.
Var max_pool1d(const Arg& x, const PoolOptions1d& options);
/// The same over the last two axes: x [.., H, W].
Var max_pool2d(const Arg& x, const PoolOptions2d& options);

/// The mean of each window of the last axis, x [.., T], where padding counts as zeros (PyTorch's
/// count_include_pad). Throws as max_pool1d does.
Var avg_pool1d(const Arg& x, const PoolOptions1d& options);
/// The same over the last two axes: x [.., H, W].
Var avg_pool2d(const Arg& x, const PoolOptions2d& options);

}  // namespace RAPT_API
