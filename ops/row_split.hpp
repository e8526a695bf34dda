// What the operators over rows (softmax, norms, losses) share: their kernels, and how rows are
// split into tasks.
#pragma once

#include <algorithm>
#include <rapt/framework/op.hpp>
#include <rapt/ops/kernels/rows.hpp>

namespace rapt {

template <class T>
const kernels::RowFunctions<T>& row_kernels() {
  const kernels::RowKernels& table = kernels::kernels<kernels::RowKernels>();
  if constexpr (sizeof(T) == sizeof(float)) {
    return table.f32;
  } else {
    return table.f64;
  }
}

/// Calls body<float>() or body<double>().
template <class Body>
void by_float_type(DType dtype, Body&& body) {
  if (dtype == DType::float32) {
    body.template operator()<float>();
  } else {
    body.template operator()<double>();
  }
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

/// "position [1, 2]": where element `index` of an array lies, for messages.
std::string position_in(const Shape& shape, int64_t index);

/// Calls body(begin, end) for ranges that cover [0, count), items of `width` elements, where a
/// range is some 20 microseconds of work.
template <class Body>
void over_ranges(const ForwardContext& c, int64_t count, int64_t width, Body&& body) {
  constexpr int64_t elements = int64_t{1} << 15;
  const int64_t step = std::max<int64_t>(1, elements / std::max<int64_t>(width, 1));
  c.parallel((count + step - 1) / step,
             [&](int64_t i) { body(i * step, std::min(count, (i + 1) * step)); });
}

}  // namespace rapt
