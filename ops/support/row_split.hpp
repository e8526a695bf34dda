// What the operators over rows (softmax, norms, losses) share: their kernels, and how rows are
// split into tasks.
#pragma once

#include <algorithm>

#include "framework/graph/op.hpp"
#include "ops/kernels/rows/rows.hpp"

namespace rapt {

template <class T>
const kernels::RowFunctions<T>& row_kernels() {
  return kernels::kernels_for<kernels::RowKernels, T>();
}

/// How many rows of `width` elements a shape holds, its last axis being the row.
inline int64_t rows_of(const Shape& shape) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
  return rows;
}

/// The shape without its last axis.
inline Shape leading_shape(const Shape& shape) {
  return Shape(std::span(shape.begin(), static_cast<size_t>(shape.rank() - 1)));
}

/// Of an operator over the rows of its last axis, as many elements a range as over_ranges() takes.
/// Bits of `inputs` and `outputs`: which have one element or a whole row for each row.
RowExtent row_extent(const Shape& shape, uint32_t inputs, uint32_t outputs);

/// "position [1, 2]": where element `index` of an array lies, for messages.
std::string position_in(const Shape& shape, int64_t index);

/// Throws Error for a length, of int32 [B], that is none of 0 .. most: for forward functions.
void check_lengths(const TensorView& lengths, int64_t most);

/// Whether a kernel should write `out` past the caches, as nobody will find it there anyway.
bool write_past_caches(const TensorView& out);

/// How many items of `width` elements are some 20 microseconds of work.
inline int64_t range_of(int64_t width) {
  constexpr int64_t elements = int64_t{1} << 15;
  return std::max<int64_t>(1, elements / std::max<int64_t>(width, 1));
}

/// Calls body(begin, end) for ranges that cover [0, count), items of `width` elements, where a
/// range is as range_of() says.
template <class Body>
void over_ranges(const ForwardContext& c, int64_t count, int64_t width, Body&& body) {
  const int64_t step = range_of(width);
  c.parallel((count + step - 1) / step,
             [&](int64_t i) { body(i * step, std::min(count, (i + 1) * step)); });
}

}  // namespace rapt
