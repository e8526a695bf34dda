// Which sums are made by the operator that makes one of their parts.
#pragma once

#include "framework/plan/units.hpp"

namespace rapt {

/// Moves sums of whole arrays into the units of operators that add on their way out (Op::adds).
/// Such a sum is a residual, or the gradients that meet at a value. The operator then runs where
/// the sum stood, with one more operand. A sum that is computed together with other elementwise
/// work stays there, as that reads it from a register.
void merge_residuals(const Excerpt& excerpt, Units& units);

}  // namespace rapt
