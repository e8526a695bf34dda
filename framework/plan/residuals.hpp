// Sums that are computed by the operator of one of their summands.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/units.hpp"

namespace rapt::internal {

/// Moves sums of whole arrays into the units of operators that can add an input to their output
/// (Op::adds). Such a sum is a residual connection, or an accumulation of gradients. The operator
/// then runs at the sum's place, with one more operand. A sum that is fused with other elementwise
/// work stays there, because its operands are in registers.
void merge_residuals(const Excerpt& excerpt, Units& units);

}  // namespace rapt::internal
