// Which elementwise nodes become one step.
#pragma once

#include "framework/plan/units.hpp"

namespace rapt {

/// Whether an elementwise node is computed in double precision: for float64, and for int32, whose
/// values float32 does not hold exactly.
bool is_wide(const Graph& graph, const Node& node);

/// Groups elementwise nodes of one shape that feed each other; every other node is alone. Returns a
/// number for each node, equal within a group and below the number of nodes. No two groups need
/// each other, also not through others.
std::vector<uint32_t> fuse(const Excerpt& excerpt);

}  // namespace rapt
