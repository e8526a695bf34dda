// Whether a plan computes what was recorded, whatever passes made it.
#pragma once

#include <rapt/framework/plan.hpp>

namespace rapt {

/// Follows a plan step by step, with nothing but the recording to go by. Throws Error, naming the
/// steps, unless all of this holds:
/// - each node is in one step, which reads what the node reads, and writes what others need of it;
/// - what a step reads has been written before, where it looks for it, and is still there;
/// - of two steps that touch the same memory, one of them writing, one waits for the other;
/// - what is wanted is there at the end;
/// - an update runs after all that were recorded before it and read the old value, and before all
///   that were recorded after it;
/// - the tasks hold every step once, in order, and wait as their steps do.
void check_plan(const Excerpt& excerpt, const Plan& plan);

}  // namespace rapt
