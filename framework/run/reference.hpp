// The reference executor: what a recording means, in the plainest way to compute it.
#pragma once

#include "framework/graph/graph.hpp"
#include "framework/run/guard.hpp"

namespace rapt {

/// Computes the targets, values of one graph: one node after the other in the order of recording,
/// on one thread, without a plan, every value in fresh memory. It begins at leaves and at what was
/// computed before: an update must not run twice. An update writes to its leaves when its turn
/// comes, so a node sees what was recorded before it; targets that are leaves, or views of them,
/// are as they were before. Returns the targets' values, each a contiguous copy of its own. A guard
/// is asked about each result.
///
/// This is the oracle of the planner and the executor, and the place to start reading. Throws
/// Error, with the node's place, where an operator fails or the guard does not let a result pass.
std::vector<Tensor> reference_run(const Graph& graph, std::span<const uint32_t> targets,
                                  Guard* guard = nullptr);

}  // namespace rapt
