// Code shared by operators over rows (softmax, norms, losses): their kernels, and the division of
// rows into tasks.
#pragma once

#include <algorithm>

#include "framework/core/internal.hpp"
#include "framework/graph/op.hpp"
#include "ops/kernels/rows/rows.hpp"

namespace rapt::internal {

template <class T>
const kernels::RowFunctions<T>& row_kernels() {
  return kernels::kernels_for<kernels::RowKernels, T>();
}

/// Returns the number of rows of a shape whose last axis is the row.
inline int64_t rows_of(const Shape& shape) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
  return rows;
}

/// Returns the shape without its last axis.
inline Shape leading_shape(const Shape& shape) {
  return Shape(std::span(shape.begin(), static_cast<size_t>(shape.rank() - 1)));
}

/// Returns the extent of an operator over the rows of its last axis. Its ranges are those of
/// over_ranges(). Bit i of `inputs` and `outputs` is set if a row uses only its own row of array i:
/// one element, or a whole row of adjacent elements.
RowExtent row_extent(const Shape& shape, uint32_t inputs, uint32_t outputs);

/// Returns the position of element `index` in an array for messages: "position [1, 2]".
std::string position_in(const Shape& shape, int64_t index);

/// Throws Error if an element of `lengths`, int32 [B], is not in 0 .. most. For forward functions.
void check_lengths(const TensorView& lengths, int64_t most);

/// True if a kernel should write `out` with non-temporal stores. That is so if `out` is larger than
/// a core's cache, and the processor is fast with such stores.
bool write_past_caches(const TensorView& out);

/// Returns the number of items of `width` elements that take about 20 microseconds.
inline int64_t range_of(int64_t width) {
  constexpr int64_t elements = int64_t{1} << 15;
  return std::max<int64_t>(1, elements / std::max<int64_t>(width, 1));
}

/// Calls body(begin, end) in parallel for ranges that cover [0, count). An item has `width`
/// elements, and a range has range_of(width) items.
template <class Body>
void over_ranges(const ForwardContext& c, int64_t count, int64_t width, Body&& body) {
  const int64_t step = range_of(width);
  c.parallel((count + step - 1) / step,
             [&](int64_t i) { body(i * step, std::min(count, (i + 1) * step)); });
}

}  // namespace rapt::internal
