// Dropout.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Sets each element to 0 with probability p and divides the others by 1 - p (Srivastava et al.
/// 2014). Returns x unchanged if p is 0 or the tape is not for training. The dropped elements
/// follow from the tape's key and the number of random operators recorded before. The gradient
/// therefore drops the same elements without storing a mask.
///
/// Throws Error if p is outside [0, 1].
Var dropout(const Arg& x, double p);

/// Does the same with a key that is already on the tape. Operators with built-in dropout are
/// defined in terms of this function.
Var dropout(const Arg& x, double p, const Var& key);

}  // namespace v0
}  // namespace rapt
