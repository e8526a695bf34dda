// Operators that change the arrangement of elements without computing on them. Most return views of
// the same memory, at no cost. The sources are shape.cpp and slice.cpp.
//
// Axes count from 0, or from the end if negative. All functions throw Error if an axis does not
// exist.
#pragma once

#include <limits>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/parameter.hpp"
#include "ops/support/axes.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the elements in row-major order without gaps: x itself if it is contiguous, else a copy.
Var contiguous(const Arg& x);

/// Returns x in another shape of the same size. One dimension may be -1 and is computed from the
/// others. The result is a view of x if its strides allow that, else a view of a contiguous copy.
Var reshape(const Arg& x, std::span<const int64_t> shape);
inline Var reshape(const Arg& x, std::initializer_list<int64_t> shape) {
  return reshape(x, std::span(shape.begin(), shape.size()));
}
inline Var reshape(const Arg& x, const Shape& shape) {
  return reshape(x, std::span(shape.begin(), shape.end()));
}

/// Returns a view of x that repeats it as NumPy's broadcasting does, e.g. [4, 1] as [3, 4, 5].
Var broadcast_to(const Arg& x, const Shape& shape);

/// Returns a view whose i-th axis is axis axes[i] of x. Each axis has to be named once.
Var permute(const Arg& x, const Axes& axes);
/// Returns a view with two axes swapped.
Var transpose(const Arg& x, int axis_a, int axis_b);
/// Returns a view with the last two axes swapped (transposed matrices).
Var transpose(const Arg& x);

/// Returns a view with an additional axis of size 1 at position `axis`.
Var unsqueeze(const Arg& x, int axis);
/// Returns a view without axis `axis`, whose size has to be 1.
Var squeeze(const Arg& x, int axis);

/// End of a slice that stands for the end of the axis.
inline constexpr int64_t to_end = std::numeric_limits<int64_t>::max();

/// Returns a view of the elements begin, begin + step, ... before `end` along an axis. Negative
/// `begin` and `end` count from the end. Throws Error unless then 0 <= begin <= end <= size, and if
/// step is below 1.
Var slice(const Arg& x, int axis, int64_t begin, int64_t end = to_end, int64_t step = 1);
/// Returns a view of one position of an axis, without that axis. A negative index counts from the
/// end.
Var select(const Arg& x, int axis, int64_t index);

/// Returns views of adjacent pieces along an axis. The sizes have to add up to the size of the
/// axis.
std::vector<Var> split(const Arg& x, std::span<const int64_t> sizes, int axis);
std::vector<Var> split(const Arg& x, std::initializer_list<int64_t> sizes, int axis);
/// Returns views of `sections` equal pieces. Their number has to divide the size of the axis.
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

/// Concatenates arrays along an axis. Throws Error if there are none, if their types differ, or if
/// their shapes differ in another axis.
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
/// Stacks arrays of one shape along a new axis `axis`.
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

/// Returns the elements in reversed order along the axes.
Var flip(const Arg& x, const Axes& axes);

/// Returns a view of all of x, as a separate value.
Var alias(const Arg& x);

}  // namespace v0
}  // namespace rapt
