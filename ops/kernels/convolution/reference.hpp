// Convolution and pooling as plain loops. The tests compare the kernels with them.
#pragma once

#include "ops/kernels/convolution/convolution_shape.hpp"
#include "ops/kernels/convolution/pooling.hpp"

namespace rapt::kernels::reference {

/// Calls body(x's index, y's index, weight's index) for every product of a convolution. The passes
/// differ in what they add up: y += x * weight; x's gradient += y's gradient * weight; the weight's
/// gradient += y's gradient * x.
template <class Body>
void convolution(const ConvolutionShape& s, const Body& body) {
  const ConvolutionAxis &r = s.rows, &c = s.columns;
  const int64_t in = s.channels / s.groups, out = s.out_channels / s.groups;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t o = 0; o < s.out_channels; ++o) {
      for (int64_t i = 0; i < in; ++i) {
        const int64_t channel = o / out * in + i;
        for (int64_t y = 0; y < r.out * c.out; ++y) {
          for (int64_t k = 0; k < r.kernel * c.kernel; ++k) {
            const int64_t row = y / c.out * r.stride + k / c.kernel * r.dilation - r.padding;
            const int64_t column = y % c.out * c.stride + k % c.kernel * c.dilation - c.padding;
            if (row < 0 || row >= r.in || column < 0 || column >= c.in) continue;
            body(((b * s.channels + channel) * r.in + row) * c.in + column,
                 (b * s.out_channels + o) * r.out * c.out + y,
                 (o * in + i) * r.kernel * c.kernel + k);
          }
        }
      }
    }
  }
}

/// Calls body(x's index, y's index) for every element of every window of a plane, in the order of
/// the windows. A maximum takes the first largest x or NaN, a sum adds all x to y, and its
/// transpose adds y to all x.
template <class Body>
void pool(const PoolShape& s, const Body& body) {
  for (int64_t y = 0; y < s.out[0] * s.out[1]; ++y) {
    for (int64_t k = 0; k < s.kernel[0] * s.kernel[1]; ++k) {
      const int64_t row = y / s.out[1] * s.stride[0] + k / s.kernel[1] - s.padding[0];
      const int64_t column = y % s.out[1] * s.stride[1] + k % s.kernel[1] - s.padding[1];
      if (row < 0 || row >= s.in[0] || column < 0 || column >= s.in[1]) continue;
      body(row * s.in[1] + column, y);
    }
  }
}

}  // namespace rapt::kernels::reference
