// Code shared by operators on strided arrays: view operators, copies, and iteration over rows.
#pragma once

#include <algorithm>

#include "framework/core/internal.hpp"
#include "framework/graph/op.hpp"

namespace rapt::internal {

/// Copies a view to contiguous memory.
extern const Op contiguous_op;

/// Returns an operator whose output is a view of its input.
constexpr Op view_op(std::string_view name, ShapeRule shape, void (*gradient)(GradientContext&)) {
  return {.name = name, .shape = shape, .gradient = gradient, .traits = {.copy = &contiguous_op}};
}

/// Returns x itself if the elements of its last axis are adjacent, else a contiguous copy. For
/// kernels that support strides on all axes but the last.
Var dense_rows(const Var& x);

/// Copies `from` to `to`, of the same shape and type, in parallel.
void copy(const ForwardContext& c, const TensorView& from, const TensorView& to);
/// Adds `from` to `to`, of the same shape and type, in parallel.
void accumulate(const ForwardContext& c, const TensorView& from, const TensorView& to);
/// Copies each input i to place(i), in parallel, unless it is already there. The places must not
/// overlap.
void copy_inputs(const ForwardContext& c, FunctionRef<TensorView(int)> place);
/// Fills a contiguous array with zeros.
void fill_zeros(const ForwardContext& c, const TensorView& to);

/// Division of an array into tasks: `parts` ranges of `step` positions along one axis.
struct Cut {
  int axis;
  int64_t step, parts;
};

/// Returns a division along any axis but `whole`.
Cut cut_of(const Shape& shape, int whole = -1);
TensorView part_of(const TensorView& view, const Cut& cut, int64_t part);

/// Calls body(offsets) for every row (along the last axis) of arrays of one shape. `offsets` holds,
/// per array, the distance of the row's first element from the start, in elements.
template <size_t N, class Body>
void for_each_row(const Shape& shape, const std::array<Strides, N>& strides, Body&& body) {
  if (shape.size() == 0) return;
  std::array<int64_t, N> offsets{};
  std::array<int64_t, max_rank> at{};
  for (;;) {
    body(offsets);
    int axis = shape.rank() - 2;
    for (; axis >= 0; --axis) {
      const auto i = static_cast<size_t>(axis);
      for (size_t k = 0; k < N; ++k) offsets[k] += strides[k][i];
      if (++at[i] < shape[axis]) break;
      for (size_t k = 0; k < N; ++k) offsets[k] -= at[i] * strides[k][i];
      at[i] = 0;
    }
    if (axis < 0) return;
  }
}

/// row_length() is the number of elements of a row. row_stride() is the distance between two of
/// them.
inline int64_t row_length(const Shape& shape) { return shape.rank() == 0 ? 1 : shape[-1]; }
inline int64_t row_stride(const Shape& shape, const Strides& strides) {
  return strides[static_cast<size_t>(std::max(shape.rank() - 1, 0))];
}

}  // namespace rapt::internal
