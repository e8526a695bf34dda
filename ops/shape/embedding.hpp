// Lookup of table rows by index.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the rows of `weight` [V, C] that `ids` (int32, any shape [..]) select, [.., C]. The
/// gradient of a table row is the sum over its uses, added in the order of their positions.
///
/// Throws Error if types or shapes do not fit. Throws Error at run time if an id is outside 0 ..
/// V-1.
Var embedding(const Arg& ids, const Arg& weight);
/// Does the same for sequences `ids` [B, T] with time first, [T, B, C]. An error gives the position
/// of an id in [B, T].
Var embedding_by_steps(const Arg& ids, const Arg& weight);

}  // namespace v0
}  // namespace rapt
