// What the recurrent operators share: how they call their kernels and split their work.
#pragma once

#include "ops/kernels/elementwise/recurrent.hpp"
#include "ops/support/row_split.hpp"

namespace rapt::recurrent {

/// How many elements of plain work one hidden unit's gates are worth, when rows are split.
inline constexpr int64_t gates_width = 4;

template <class T>
const kernels::RecurrentKernels<T>& recurrent_kernels() {
  return kernels::kernels_for<kernels::RecurrentTable, T>();
}

/// A contiguous [B, n] array.
template <class T>
kernels::Rows<T> rows(const TensorView& view) {
  return {view.as<T>(), view.shape[1]};
}

/// Step t of a contiguous [T, B, n] array.
template <class T>
kernels::Rows<T> rows(const TensorView& view, int64_t t) {
  return {view.as<T>() + t * view.shape[1] * view.shape[2], view.shape[2]};
}

/// That an input is lengths, int32 [batch].
void check_lengths(const ShapeContext& c, int input, int64_t batch);

}  // namespace rapt::recurrent
