// Gather and scatter: reads and writes of elements at computed indices.
//
// An index is an int32 array. All functions throw Error at run time if an index is outside the
// axis, except where noted.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns y[.., i, ..] = x[.., index[.., i, ..], ..] along the axis, as torch.gather does. For
/// equal shapes it agrees with numpy.take_along_axis. y has the shape of the index. The index has
/// the rank of x and, in the other axes, at most the sizes of x.
Var gather(const Arg& x, int axis, const Arg& index);

/// Returns x with source[.., i, ..] added at [.., index[.., i, ..], ..]. Terms are added in
/// ascending order of i, so equal indices give the same bits in every run. The source has the shape
/// of the index, which follows the rules of gather().
Var scatter_add(const Arg& x, int axis, const Arg& index, const Arg& source);

/// Returns the slices of x that the index selects along an axis, as numpy.take does. The axis is
/// replaced by the axes of the index, of which there may be any number.
Var take(const Arg& x, const Arg& index, int axis);

/// Returns an array with one more axis, of size `depth`. It is 1 at the index along that axis and 0
/// elsewhere. An index outside the axis gives only zeros.
Var one_hot(const Arg& index, int64_t depth, DType dtype = DType::float32);

}  // namespace v0
}  // namespace rapt
