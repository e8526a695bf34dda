// Operators that move elements without computing on them. Most are views: another look at the same
// memory, at no cost. The sources are shape.cpp and slice.cpp.
//
// Axes count from 0 or, negative, from the end. All throw Error where an axis is not there.
#pragma once

#include <limits>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/parameter.hpp"
#include "ops/support/axes.hpp"

namespace rapt RAPT_API {

/// The same elements in row-major order without gaps: x itself where they lie so already, else a
/// copy.
Var contiguous(const Arg& x);

/// x in another shape of the same size; one dimension may be -1 and follows from the others. A view
/// where x's strides allow it, else of a contiguous copy.
Var reshape(const Arg& x, std::span<const int64_t> shape);
inline Var reshape(const Arg& x, std::initializer_list<int64_t> shape) {
  return reshape(x, std::span(shape.begin(), shape.size()));
}
inline Var reshape(const Arg& x, const Shape& shape) {
  return reshape(x, std::span(shape.begin(), shape.end()));
}

/// A view of x that repeats it as NumPy's broadcasting does, e.g. [4, 1] as [3, 4, 5].
Var broadcast_to(const Arg& x, const Shape& shape);

/// A view whose i-th axis is axis axes[i] of x. Each axis has to be named once.
Var permute(const Arg& x, const Axes& axes);
/// A view with two axes swapped.
Var transpose(const Arg& x, int axis_a, int axis_b);
/// A view with the last two axes swapped: the transposed matrices.
Var transpose(const Arg& x);

/// A view with one more axis of size 1, which becomes axis `axis`.
Var unsqueeze(const Arg& x, int axis);
/// A view without axis `axis`, whose size has to be 1.
Var squeeze(const Arg& x, int axis);

/// As the end of a slice: all that is left.
inline constexpr int64_t to_end = std::numeric_limits<int64_t>::max();

/// A view of the elements begin, begin + step, ... before `end` along an axis. Negative `begin` and
/// `end` count from the end. Throws Error unless 0 <= begin <= end <= size then, and
/// for a step below 1.
Var slice(const Arg& x, int axis, int64_t begin, int64_t end = to_end, int64_t step = 1);
/// A view of one place of an axis, without that axis; a negative index counts from the end.
Var select(const Arg& x, int axis, int64_t index);

/// Views of neighbouring pieces along an axis, of the sizes given, which have to add up.
std::vector<Var> split(const Arg& x, std::span<const int64_t> sizes, int axis);
std::vector<Var> split(const Arg& x, std::initializer_list<int64_t> sizes, int axis);
/// The same with a number of equal pieces, which has to divide the axis.
std::vector<Var> split(const Arg& x, int64_t sections, int axis);

namespace detail {

template <class Array>
std::vector<Arg> operands(const std::vector<Array>& arrays, SourceLocation here) {
  std::vector<Arg> args;
  args.reserve(arrays.size());
  for (const Array& array : arrays) args.emplace_back(array, here);
  return args;
}

}  // namespace detail

/// The arrays one after the other along an axis. Throws Error where there are none, and where
/// their types differ, or their shapes in another axis.
Var concat(std::initializer_list<Arg> arrays, int axis,
           SourceLocation here = SourceLocation::current());
Var concat(std::span<const Arg> arrays, int axis, SourceLocation here = SourceLocation::current());
Var concat(std::span<const Var> arrays, int axis, SourceLocation here = SourceLocation::current());
template <class Array>
requires(std::same_as<Array, Tensor> || std::same_as<Array, Parameter>) Var
    concat(const std::vector<Array>& arrays, int axis,
           SourceLocation here = SourceLocation::current()) {
  return concat(std::span<const Arg>(detail::operands(arrays, here)), axis, here);
}
/// Arrays of one shape side by side along a new axis `axis`.
Var stack(std::initializer_list<Arg> arrays, int axis,
          SourceLocation here = SourceLocation::current());
Var stack(std::span<const Arg> arrays, int axis, SourceLocation here = SourceLocation::current());
Var stack(std::span<const Var> arrays, int axis, SourceLocation here = SourceLocation::current());
template <class Array>
requires(std::same_as<Array, Tensor> || std::same_as<Array, Parameter>) Var
    stack(const std::vector<Array>& arrays, int axis,
          SourceLocation here = SourceLocation::current()) {
  return stack(std::span<const Arg>(detail::operands(arrays, here)), axis, here);
}

/// The same elements backwards along the axes.
Var flip(const Arg& x, const Axes& axes);

/// A view that is x again, as a value of its own.
Var alias(const Arg& x);

/// Whether the value is the gradient of slices: their gradients, put where they were cut out.
bool is_unslice(const Var& value);
/// The sum of such values of one shape, in one pass over all their pieces: T slices of an array of
/// T rows cost T in the backward pass, not T^2.
Var merge_unslices(std::span<const Var> contributions);

}  // namespace RAPT_API
