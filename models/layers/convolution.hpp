// Convolution layers.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/parameter.hpp"
#include "ops/convolution/convolution.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Convolution of sequences, see conv1d().
struct Conv1d {
  Parameter weight;  ///< [out, in / groups, kernel]
  Parameter bias;    ///< [out]
  Conv1dOptions options;

  Conv1d() = default;
  /// Draws weights and bias uniformly in +-1/sqrt(in / groups * kernel), as torch.nn.Conv1d. Throws
  /// Error if the groups do not divide `in` and `out`.
  Conv1d(int64_t in, int64_t out, int64_t kernel, Key key, const Conv1dOptions& options = {});

  /// x [B, in, T] -> [B, out, T'].
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
};

/// Convolution of images, see conv2d().
struct Conv2d {
  Parameter weight;  ///< [out, in / groups, kernel.height, kernel.width]
  Parameter bias;    ///< [out]
  Conv2dOptions options;

  Conv2d() = default;
  /// Draws weights and bias uniformly in +-1/sqrt(in / groups * kernel.height * kernel.width), as
  /// torch.nn.Conv2d. Throws Error if the groups do not divide `in` and `out`.
  Conv2d(int64_t in, int64_t out, Size2 kernel, Key key, const Conv2dOptions& options = {});

  /// x [B, in, H, W] -> [B, out, H', W'].
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
};

}  // namespace v0
}  // namespace rapt
