// Operators that make many elements into one.
//
// Axes count from 0 or, negative, from the end; without any named, all are reduced. With `keepdims`
// reduced axes stay, with size 1. All throw Error where an axis is not there or comes twice.
#pragma once

#include <rapt/ops/axes.hpp>

namespace rapt {

/// The sum along the axes; 0 of no elements. int32 and boolean arrays give int32.
Var sum(const Arg& x, const Axes& axes = Axes::all(), bool keepdims = false);

/// x summed to the shape that broadcasting would have spread to x's; x itself where it has that
/// shape. Throws Error where `shape` does not broadcast to x's.
Var sum_to(const Arg& x, const Shape& shape);

}  // namespace rapt
