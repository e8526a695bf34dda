// What operators on arrays of any strides share: views as operators, copies, and walks over rows.
#pragma once

#include <algorithm>

#include "framework/graph/op.hpp"

namespace rapt {

/// Copies a view to contiguous memory.
extern const Op contiguous_op;

/// An operator whose output is a view of its input.
constexpr Op view_op(std::string_view name, ShapeRule shape, void (*gradient)(GradientContext&)) {
  return {.name = name, .shape = shape, .gradient = gradient, .copy = &contiguous_op};
}

/// x itself where neighbours on its last axis lie side by side, else a contiguous copy: for kernels
/// that walk strides on all axes but the last.
Var dense_rows(const Var& x);

/// to = from, of the same shape and type, in parallel.
void copy(const ForwardContext& c, const TensorView& from, const TensorView& to);
/// to += from, of the same shape and type, in parallel.
void accumulate(const ForwardContext& c, const TensorView& from, const TensorView& to);
/// Input i is copied to place(i), for all i, in parallel, unless it lies there already. The places
/// must not overlap.
void copy_inputs(const ForwardContext& c, FunctionRef<TensorView(int)> place);
/// Zeros for a contiguous array.
void fill_zeros(const ForwardContext& c, const TensorView& to);

/// How an array is cut for tasks: along one axis, into `parts` ranges of `step` places.
struct Cut {
  int axis;
  int64_t step, parts;
};

/// Cuts along any axis but `whole`.
Cut cut_of(const Shape& shape, int whole = -1);
TensorView part_of(const TensorView& view, const Cut& cut, int64_t part);

/// Calls body(offsets) for the first element of every row (along the last axis) of arrays of one
/// shape: how far it lies from each array's start, in elements.
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

/// The number of elements of a row, and the distance between two of them.
inline int64_t row_length(const Shape& shape) { return shape.rank() == 0 ? 1 : shape[-1]; }
inline int64_t row_stride(const Shape& shape, const Strides& strides) {
  return strides[static_cast<size_t>(std::max(shape.rank() - 1, 0))];
}

}  // namespace rapt
