// Dropout.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// Sets each element to 0 with probability p and divides the others by 1 - p (Srivastava et al.
/// 2014), on a tape for training; elsewhere, and for p = 0, it is x. Which elements fall follows
/// from the tape's key and the number of random operators recorded before: the gradient drops the
/// same ones without storing which.
///
/// Throws Error for p outside [0, 1].
Var dropout(const Arg& x, double p);

/// The same by a key that is on the tape already: what an operator that drops by itself means in
/// plain operators.
Var dropout(const Arg& x, double p, const Var& key);

}  // namespace RAPT_API
