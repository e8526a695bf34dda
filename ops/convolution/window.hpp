// Sliding windows, shared by convolution and pooling.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Pair of numbers for the rows and the columns of a plane. A single number stands for both.
struct Size2 {
  int64_t height, width;

  constexpr Size2(int64_t both) : height(both), width(both) {}  // NOLINT: reads as a plain field
  constexpr Size2(int64_t rows, int64_t columns) : height(rows), width(columns) {}
  friend constexpr bool operator==(const Size2&, const Size2&) = default;
};

/// Returns the number of window positions along an axis of `size` elements with `padding` more at
/// each end. The window has `kernel` elements, `dilation` apart, and moves by `stride`. Returns 0
/// if it does not fit.
constexpr int64_t window_places(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                                int64_t dilation = 1) {
  const int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace v0
}  // namespace rapt
