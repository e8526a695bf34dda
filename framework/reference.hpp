// The reference executor: what a recording means, in the plainest way to compute it.
#pragma once

#include <rapt/framework/tape.hpp>

namespace rapt {

/// Computes the targets, values of one graph, from its leaves: one node after the other in the
/// order of recording, on one thread, without a plan, every value in fresh memory. Values that were
/// computed before are computed again. An update writes to its leaves when its turn comes, so a
/// node sees what was recorded before it. Returns the targets' values, each a contiguous copy of
/// its own.
///
/// This is the oracle of the planner and the executor, and the place to start reading. Throws
/// Error, with the node's place, where an operator fails.
std::vector<Tensor> reference_run(const Graph& graph, std::span<const uint32_t> targets);

}  // namespace rapt
