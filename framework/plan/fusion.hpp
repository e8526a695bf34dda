// Fusion of elementwise nodes into steps.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/units.hpp"

namespace rapt::internal {

/// True if an elementwise node is computed in double precision. This is the case for float64, and
/// for int32, whose values float32 cannot represent exactly.
bool is_wide(const Graph& graph, const Node& node);

/// Groups elementwise nodes of one shape that use each other's results. Every other node is alone.
/// Returns a representative per node, equal within a group. The groups do not depend on each other
/// in a cycle.
IdVector<PlanNode, PlanNode> fuse(const Excerpt& excerpt);

}  // namespace rapt::internal
