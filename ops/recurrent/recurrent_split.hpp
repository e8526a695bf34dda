// Code shared by the recurrent operators: access to their kernels, and the division of their work.
#pragma once

#include "ops/kernels/elementwise/recurrent.hpp"
#include "ops/support/row_split.hpp"

namespace rapt::recurrent {

/// Cost of one hidden unit's gates, in elements of plain work, for dividing rows into tasks.
inline constexpr int64_t gates_width = 4;

template <class T>
const kernels::RecurrentKernels<T>& recurrent_kernels() {
  return kernels::kernels_for<kernels::RecurrentTable, T>();
}

/// Returns the rows of a contiguous [B, n] array.
template <class T>
kernels::Rows<T> rows(const TensorView& view) {
  return {view.as<T>(), view.shape[1]};
}

/// Returns the rows of step t of a contiguous [T, B, n] array.
template <class T>
kernels::Rows<T> rows(const TensorView& view, int64_t t) {
  return {view.as<T>() + t * view.shape[1] * view.shape[2], view.shape[2]};
}

/// Fails unless an input is lengths, int32 [batch].
void check_lengths(const ShapeContext& c, int input, int64_t batch);

}  // namespace rapt::recurrent
