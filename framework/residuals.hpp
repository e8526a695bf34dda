// Which sums are made by the operator that makes one of their parts.
#pragma once

#include <rapt/framework/tape.hpp>

namespace rapt {

/// Moves sums of whole arrays into the units of operators that add on their way out (Op::adds): a
/// residual, or the gradients that meet at a value. The operator then runs where the sum stood,
/// with one more operand. A sum that is computed together with other elementwise work stays there,
/// as that reads it from a register.
void merge_residuals(const Graph& graph, std::span<const uint32_t> targets,
                     const std::vector<bool>& known, std::vector<std::vector<uint32_t>>& units);

/// The node whose operator computes the unit.
inline uint32_t leader_of(const Graph& graph, const std::vector<uint32_t>& unit) {
  return graph.nodes[unit.front()].op->adds != nullptr ? unit.front() : unit.back();
}

}  // namespace rapt
