// Reductions and cumulative sums.
//
// Axes count from 0, or from the end if negative. If no axes are given, all are reduced. With
// `keepdims` a reduced axis stays, with size 1. All functions throw Error if an axis does not exist
// or is given twice.
#pragma once

#include "framework/core/api.hpp"
#include "ops/support/axes.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the sum along the axes; 0 if there are no elements. The sum of int32 arrays is int32,
/// modulo 2^32. Boolean arrays are counted in int32. Throws Error if there are too many booleans to
/// count in int32.
Var sum(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);
/// Returns the mean along the axes; NaN if there are no elements. Throws Error if x is not a float
/// array.
Var mean(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);

/// Returns the maximum along the axes; NaN if an element is NaN. Equal maxima share the gradient
/// equally. Throws Error for boolean arrays and for axes without elements.
Var max(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);
/// Returns the minimum along the axes, with the rules of max().
Var min(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);
/// Returns the index (int32) of the first maximum along an axis, or of the first NaN. No gradient
/// passes. Throws Error if the axis has no elements, or more than int32 can count.
Var argmax(const Arg& x, int axis, bool keepdims = false);

/// Returns log(sum(exp(x))) along the axes, without overflow. The result is -inf where there are no
/// elements or all are -inf; the gradient is then 0. Throws Error if x is not a float array.
Var logsumexp(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);

/// any() returns true where any element of a boolean array along the axes is true. all() returns
/// true where all are true.
Var any(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);
Var all(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);

/// Returns y[i] = x[0] + ... + x[i] along an axis, or x[i] + ... + x[n - 1] if `reversed` is set.
/// Float sums are accumulated in float64. int32 and boolean arrays give int32, as for sum().
Var cumsum(const Arg& x, int axis, bool reversed = false);

/// Sums x over the axes along which broadcasting would have expanded `shape` to x's shape. Returns
/// x itself if the shapes are equal. Throws Error if `shape` does not broadcast to x's shape.
Var sum_to(const Arg& x, const Shape& shape);

}  // namespace v0
}  // namespace rapt
