// Choosing among the last axis' elements: the largest, or one by chance.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// The k largest elements along the last axis, in falling order: [.., k]. Output 1 is their places,
/// int32 [.., k]. Of equal elements the first comes first; NaN comes before all. Gradients pass to
/// the elements chosen.
///
/// Throws Error for other than float arrays, where k is not in 0 .. the axis's size, and for an
/// axis longer than int32 can count.
Var top_k(const Arg& x, int64_t k);

}  // namespace RAPT_API
