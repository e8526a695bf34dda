// Rows of a table, by number.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// The rows of `weight` [V, C] that `ids` (int32, any shape [..]) name: [.., C]. Its gradient adds
/// up, for every row of the table, what came to its uses, in the order of their positions.
///
/// Throws Error for other types or shapes and, when it is computed, for an id outside 0 .. V-1.
Var embedding(const Arg& ids, const Arg& weight);

}  // namespace RAPT_API
