// Which elementwise nodes become one step.
#pragma once

#include <rapt/framework/tape.hpp>

namespace rapt {

/// Whether a plan has to compute the value, or what it is a view of: it is no leaf, and not known.
inline bool computed(const Graph& graph, const std::vector<bool>& known, uint32_t value) {
  const uint32_t base = graph.values[value].base;
  return !known[value] && !known[base] && graph.nodes[graph.values[base].node].op != nullptr;
}

/// Whether an elementwise node is computed in double precision: for float64, and for int32, whose
/// values float32 does not hold exactly.
bool is_wide(const Graph& graph, const Node& node);

/// The needed nodes as units of execution, each a list of ascending nodes: a group of elementwise
/// nodes of one shape, or a node alone. No two units need each other.
std::vector<std::vector<uint32_t>> fuse(const Graph& graph, const std::vector<bool>& needed,
                                        const std::vector<bool>& known);

/// Every needed node alone.
std::vector<std::vector<uint32_t>> single_units(const Graph& graph,
                                                const std::vector<bool>& needed);

}  // namespace rapt
