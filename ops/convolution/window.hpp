// What convolution and pooling share: windows that move over planes.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// A number for the rows of a plane and one for its columns; one number stands for both.
struct Size2 {
  int64_t height, width;

  constexpr Size2(int64_t both) : height(both), width(both) {}  // NOLINT: reads as a plain field
  constexpr Size2(int64_t rows, int64_t columns) : height(rows), width(columns) {}
  friend constexpr bool operator==(const Size2&, const Size2&) = default;
};

/// How many places a window of `kernel` elements, `dilation` apart, has in `size` elements with
/// `padding` more at either end, where it moves by `stride`; 0 where it does not fit.
constexpr int64_t window_places(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                                int64_t dilation = 1) {
  const int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace RAPT_API
