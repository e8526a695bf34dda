// Random choice of one element per row.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Draws one index per row of the weights x [.., V], with probability proportional to the weight.
/// Weights are not negative and may have any sum. Returns int32 [..]. The choice is determined by
/// `u`, float64 [..], which holds random numbers from [0, 1). Equal numbers give equal choices.
/// With top_p below 1, only the fewest largest weights take part whose sum is at least top_p of the
/// row's sum. Equal weights are taken in order of their indices. No gradient passes.
///
/// Throws Error if shapes or types do not fit, or if top_p is outside (0, 1]. Throws Error at run
/// time if the sum of a row is not positive and finite.
Var draw(const Arg& x, const Arg& u, double top_p = 1);

}  // namespace v0
}  // namespace rapt
