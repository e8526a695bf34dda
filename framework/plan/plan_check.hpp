// Whether a plan computes what was recorded, whatever passes made it.
#pragma once

#include "framework/plan/excerpt.hpp"
#include "framework/plan/plan.hpp"

namespace rapt {

/// Follows a plan step by step, with nothing but the recording to go by. Throws Error, naming the
/// steps, unless all of this holds:
/// - each node is in one step, which reads what the node reads, and writes what others need of it;
///   the step calls the operator of one of its nodes, with that node's words;
/// - what a step reads has been written before, where it looks for it, and is still there;
/// - of two steps that touch the same memory, one of them writing, one waits for the other, or both
///   are in one chain and touch the same rows; a step overwrites what it reads where its operator
///   may, and never what it makes;
/// - all memory is within the arena, what is kept, or a result;
/// - what is wanted or kept is there at the end;
/// - what a plan says that it reads and updates is what its steps read and update;
/// - an update runs after all that were recorded before it and read the old value, and before all
///   that were recorded after it;
/// - the tasks hold every step once, in order, and wait as their steps do.
/// It does not look into the programs of fused steps, nor at what operators compute.
void check_plan(const Excerpt& excerpt, const Plan& plan);

}  // namespace rapt
