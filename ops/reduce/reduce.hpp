// Operators that make many elements into one, and cumulative sums.
//
// Axes count from 0 or, negative, from the end; without any named, all are reduced. With `keepdims`
// reduced axes stay, with size 1. All throw Error where an axis is not there or comes twice.
#pragma once

#include "framework/core/api.hpp"
#include "ops/support/axes.hpp"

namespace rapt RAPT_API {

/// The sum along the axes; 0 of no elements. Of int32 arrays it is int32, modulo 2^32; booleans are
/// counted in int32, and Error is thrown where there are more than that can count.
Var sum(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);
/// The mean along the axes; NaN of no elements. Throws Error for other than float arrays.
Var mean(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);

/// The largest along the axes; NaN where there is one. Elements that are equally large share the
/// gradient equally. Throws Error for boolean arrays and for axes without elements.
Var max(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);
/// The smallest, likewise.
Var min(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);
/// The place of the first of the largest along an axis, or of the first NaN; int32. No gradient
/// passes. Throws Error for an axis without elements, or longer than int32 can count.
Var argmax(const Arg& x, int axis, bool keepdims = false);

/// log(sum(exp(x))) along the axes, without overflow; -inf where all is -inf (and the gradient 0),
/// or where there are no elements. Throws Error for other than float arrays.
Var logsumexp(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);

/// Whether any, or all, of a boolean array's elements along the axes hold.
Var any(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);
Var all(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);

/// y[i] = x[0] + ... + x[i] along an axis; reversed, x[i] + ... + x[n - 1]. Floats are added up in
/// float64. int32 of int32 and boolean arrays, as sum() has it.
Var cumsum(const Arg& x, int axis, bool reversed = false);

/// x summed to the shape that broadcasting would have spread to x's; x itself where it has that
/// shape. Throws Error where `shape` does not broadcast to x's.
Var sum_to(const Arg& x, const Shape& shape);

}  // namespace RAPT_API
