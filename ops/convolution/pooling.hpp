// Max pooling and average pooling over sequences and planes.
#pragma once

#include "framework/core/api.hpp"
#include "ops/convolution/window.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct PoolOptions1d {
  int64_t kernel;
  int64_t stride = 0;   ///< 0 stands for the kernel's size, so that windows do not overlap.
  int64_t padding = 0;  ///< Elements added at each end; at most half the kernel.
};

struct PoolOptions2d {
  Size2 kernel;
  Size2 stride = 0;
  Size2 padding = 0;
};

/// Returns the maximum of each window of the last axis: x [.., T] gives
/// [.., (T + 2 padding - kernel) / stride + 1]. Padding is never the maximum. Among equal maxima
/// the first gets the gradient. A window that contains NaN gives NaN.
///
/// Throws Error if x is not a float array, if the padding exceeds half the kernel, or if the kernel
/// is larger than the padded input.
Var max_pool1d(const Arg& x, const PoolOptions1d& options);
/// Does the same over the last two axes: x [.., H, W].
Var max_pool2d(const Arg& x, const PoolOptions2d& options);

/// Returns the mean of each window of the last axis, x [.., T]. Padding counts as zeros (PyTorch's
/// count_include_pad). Throws as max_pool1d does.
Var avg_pool1d(const Arg& x, const PoolOptions1d& options);
/// Does the same over the last two axes: x [.., H, W].
Var avg_pool2d(const Arg& x, const PoolOptions2d& options);

}  // namespace v0
}  // namespace rapt
