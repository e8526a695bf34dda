// Drawing one of several by chance.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// For each row of weights x [.., V] (not negative; any sum), one place, drawn with probability
/// proportional to its weight: int32 [..]. `u`, float64 [..], are numbers from [0, 1) that decide,
/// so that the same numbers give the same places. With top_p below 1 only the fewest largest
/// weights take part whose sum is at least top_p of the row's (equal ones in the order of their
/// places). No gradient passes.
///
/// Throws Error where shapes or types do not fit, for a top_p outside (0, 1], and, when it is
/// computed, for a row without a positive, finite sum.
Var draw(const Arg& x, const Arg& u, double top_p = 1);

}  // namespace RAPT_API
