// The reference executor. It defines the meaning of a recording by the simplest way to compute it.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/graph/graph.hpp"
#include "framework/run/guard.hpp"

namespace rapt::internal {

/// Computes the targets, which are values of one graph. Runs one node after the other in the order
/// of recording, on one thread, without a plan, with every value in fresh memory. It starts from
/// leaves and from values that were computed before, because an update must not run twice. An
/// update writes to its leaves at its place in the order, so each node sees the updates recorded
/// before it. Targets that are leaves, or views of leaves, keep their values from before the run.
/// Returns the targets' values as contiguous copies. A guard, if given, checks each result.
///
/// This is the oracle for the planner and the executor, and the best place to start reading. Throws
/// Error, with the node's place, if an operator fails or the guard rejects a result.
std::vector<Tensor> reference_run(const Graph& graph, std::span<const ValueId> targets,
                                  Guard* guard = nullptr);

}  // namespace rapt::internal
