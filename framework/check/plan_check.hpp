// Verification that a plan computes what was recorded.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/excerpt.hpp"
#include "framework/plan/plan.hpp"

namespace rapt::internal {

/// Follows a plan step by step and compares it with the recording only. Throws Error, naming the
/// steps, unless all of this holds:
/// - Each node is in one step. The step reads the node's inputs and writes its outputs that others
///   need. It calls the operator of one of its nodes, with that node's words.
/// - A value that a step reads was written before, at the place where it is read, and has not been
///   overwritten.
/// - If two steps touch the same memory and one of them writes, one waits for the other, or both
///   are in one chain and touch the same rows. A step overwrites its inputs only if its operator
///   permits it, and never its own outputs.
/// - All memory is within the arena, the kept memory, or a result.
/// - Wanted and kept values exist at the end.
/// - The plan's lists of leaves and values that it reads and updates agree with its steps.
/// - An update runs after all nodes that were recorded before it and read the old value, and before
///   all that were recorded after it.
/// - The tasks hold every step once, in order, and wait as their steps do.
/// Programs of fused steps and the arithmetic of operators are not verified.
void check_plan(const Excerpt& excerpt, const Plan& plan);

}  // namespace rapt::internal
