// Selection of the largest elements of the last axis.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the k largest elements along the last axis in descending order, [.., k]. Output 1 holds
/// their indices, int32 [.., k]. Among equal elements the first comes first. NaN comes before all
/// numbers. Gradients pass to the selected elements.
///
/// Throws Error if x is not a float array, if k is not in 0 .. the size of the axis, or if the axis
/// is longer than int32 can count.
Var top_k(const Arg& x, int64_t k);

}  // namespace v0
}  // namespace rapt
