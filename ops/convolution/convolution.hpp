// Convolution over sequences and planes. All options have PyTorch's meaning.
#pragma once

#include "framework/core/api.hpp"
#include "ops/convolution/window.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct Conv1dOptions {
  int64_t stride = 1;
  int64_t padding = 0;   ///< Zeros added at each end.
  int64_t dilation = 1;  ///< Distance between adjacent kernel elements.
  int64_t groups = 1;    ///< Number of channel groups, each with its own weights.
};

struct Conv2dOptions {
  Size2 stride = 1;
  Size2 padding = 0;
  Size2 dilation = 1;
  int64_t groups = 1;
};

/// Computes y[b, o, t] = bias[o] + sum over c, k of weight[o, c, k]
/// x[b, c, t stride + k dilation - padding], where x is zero outside its range. Shapes: x
/// [B, C, T], weight [O, C / groups, K], bias [O] or an empty Var. Returns [B, O, (T + 2 padding -
/// dilation (K - 1) - 1) / stride + 1]. Strictly this is a cross-correlation, which all frameworks
/// call convolution.
///
/// Throws Error if shapes or types do not fit, if groups does not divide both numbers of channels,
/// or if the kernel is larger than the padded input.
Var conv1d(const Arg& x, const Arg& weight, const Arg& bias, const Conv1dOptions& options = {});
/// Does the same without a bias.
Var conv1d(const Arg& x, const Arg& weight, const Conv1dOptions& options = {});

/// Does the same over planes: x [B, C, H, W], weight [O, C / groups, KH, KW], bias [O] or an empty
/// Var.
Var conv2d(const Arg& x, const Arg& weight, const Arg& bias, const Conv2dOptions& options = {});
/// Does the same without a bias.
Var conv2d(const Arg& x, const Arg& weight, const Conv2dOptions& options = {});

}  // namespace v0
}  // namespace rapt
