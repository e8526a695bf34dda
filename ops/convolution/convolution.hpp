// Convolution of sequences and of planes, with PyTorch's meaning of every option.
#pragma once

#include "framework/core/api.hpp"
#include "ops/convolution/window.hpp"

namespace rapt RAPT_API {

struct Conv1dOptions {
  int64_t stride = 1;
  int64_t padding = 0;   ///< Zeros at either end.
  int64_t dilation = 1;  ///< From one of the kernel's elements to the next.
  int64_t groups = 1;    ///< Channels in so many groups, each with a weight of its own.
};

struct Conv2dOptions {
  Size2 stride = 1;
  Size2 padding = 0;
  Size2 dilation = 1;
  int64_t groups = 1;
};

/// y[b, o, t] = bias[o] + sum over c, k of weight[o, c, k] x[b, c, t stride + k dilation - padding]
/// with x zero outside: x [B, C, T], weight [O, C / groups, K], bias [O] or an empty Var. Gives
/// [B, O, (T + 2 padding - dilation (K - 1) - 1) / stride + 1]. (A cross-correlation, as every
/// framework calls it convolution.)
///
/// Throws Error where shapes or types do not fit, for groups that do not divide both numbers of
/// channels, and for a kernel that is larger than the padded input.
Var conv1d(const Arg& x, const Arg& weight, const Arg& bias, const Conv1dOptions& options = {});
/// The same without a bias.
Var conv1d(const Arg& x, const Arg& weight, const Conv1dOptions& options = {});

/// The same over planes: x [B, C, H, W], weight [O, C / groups, KH, KW], bias [O] or an empty Var.
Var conv2d(const Arg& x, const Arg& weight, const Arg& bias, const Conv2dOptions& options = {});
/// The same without a bias.
Var conv2d(const Arg& x, const Arg& weight, const Conv2dOptions& options = {});

}  // namespace RAPT_API
