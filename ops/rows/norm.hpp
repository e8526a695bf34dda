// Normalisation of the last axis.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Computes (x - mean) / sqrt(variance + eps) * weight + bias over the last axis (Ba et al.,
/// arXiv:1607.06450). The variance divides by n, not by n - 1. Shapes: x [.., C], weight and bias
/// [C].
///
/// Throws Error if shapes or types differ.
Var layer_norm(const Arg& x, const Arg& weight, const Arg& bias, double eps = 1e-5);

/// Computes x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich,
/// arXiv:1910.07467). Shapes: x [.., C], weight [C].
///
/// Throws Error if shapes or types differ.
Var rms_norm(const Arg& x, const Arg& weight, double eps = 1e-5);

}  // namespace v0
}  // namespace rapt
