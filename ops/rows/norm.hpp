// Normalisation of the last axis.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, the variance that of n,
/// not n - 1 (Ba et al., arXiv:1607.06450). x [.., C]; weight and bias [C].
///
/// Throws Error where shapes or types differ.
Var layer_norm(const Arg& x, const Arg& weight, const Arg& bias, double eps = 1e-5);

/// x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich, arXiv:1910.07467).
/// x [.., C]; weight [C].
///
/// Throws Error where shapes or types differ.
Var rms_norm(const Arg& x, const Arg& weight, double eps = 1e-5);

}  // namespace RAPT_API
