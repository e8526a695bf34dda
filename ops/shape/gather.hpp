// Reading and writing elements at places that other elements name.
//
// An index is an int32 array. At run time an index outside of the axis throws Error.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// y[.., i, ..] = x[.., index[.., i, ..], ..] along the axis, as torch.gather and, for shapes that
/// agree, numpy.take_along_axis. y has the index's shape, which has x's rank and in the other axes
/// at most x's sizes.
Var gather(const Arg& x, int axis, const Arg& index);

/// x, with source[.., i, ..] added at [.., index[.., i, ..], ..], in ascending order of i: equal
/// indices give the same bits in every run. The source has the index's shape, which is as gather's.
Var scatter_add(const Arg& x, int axis, const Arg& index, const Arg& source);

/// The slices of x that the index names along an axis, as numpy.take: the index's axes, any number
/// of them, stand in the axis's place.
Var take(const Arg& x, const Arg& index, int axis);

/// An array with one more axis, of size `depth`: 1 at the index's place along it, 0 elsewhere, also
/// for an index outside of it.
Var one_hot(const Arg& index, int64_t depth, DType dtype = DType::float32);

}  // namespace RAPT_API
