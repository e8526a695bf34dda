// Convolution and pooling: the oracle loops over every window, element by element.
#include <limits>

#include "ops/convolution/convolution.hpp"
#include "ops/convolution/pooling.hpp"
#include "ops/shape/shape.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

using Vars = std::vector<Var>;
using Arrays = std::vector<Array>;
using Sizes = std::vector<size_t>;

/// Returns x at (row, column) of a plane with zero padding.
double padded(const Array& x, size_t b, size_t c, int64_t row, int64_t column) {
  const auto high = static_cast<int64_t>(x.shape()[2]), wide = static_cast<int64_t>(x.shape()[3]);
  if (row < 0 || column < 0 || row >= high || column >= wide) return 0;
  return x(b, c, static_cast<size_t>(row), static_cast<size_t>(column));
}

size_t places(size_t size, size_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  const int64_t last =
      static_cast<int64_t>(size) + 2 * padding - dilation * (static_cast<int64_t>(kernel) - 1) - 1;
  return static_cast<size_t>(last / stride + 1);
}

Array plain_conv2d(const Arrays& v, const Conv2dOptions& o) {
  const Array &x = v[0], &w = v[1];
  const size_t out = w.shape()[0], channels = w.shape()[1], groups = static_cast<size_t>(o.groups);
  const size_t high =
      places(x.shape()[2], w.shape()[2], o.stride.height, o.padding.height, o.dilation.height);
  const size_t wide =
      places(x.shape()[3], w.shape()[3], o.stride.width, o.padding.width, o.dilation.width);
  Array y(Sizes{x.shape()[0], out, high, wide});
  for (size_t b = 0; b < x.shape()[0]; ++b) {
    for (size_t k = 0; k < out; ++k) {
      const size_t first = k / (out / groups) * channels;
      for (size_t i = 0; i < high; ++i) {
        for (size_t j = 0; j < wide; ++j) {
          double sum = v.size() > 2 ? v[2](k) : 0;
          for (size_t c = 0; c < channels; ++c) {
            for (size_t p = 0; p < w.shape()[2]; ++p) {
              for (size_t q = 0; q < w.shape()[3]; ++q) {
                const int64_t row = static_cast<int64_t>(i) * o.stride.height +
                                    static_cast<int64_t>(p) * o.dilation.height - o.padding.height;
                const int64_t column = static_cast<int64_t>(j) * o.stride.width +
                                       static_cast<int64_t>(q) * o.dilation.width - o.padding.width;
                sum += w(k, c, p, q) * padded(x, b, first + c, row, column);
              }
            }
          }
          y(b, k, i, j) = sum;
        }
      }
    }
  }
  return y;
}

Array plain_conv1d(Arrays v, const Conv1dOptions& o) {
  for (size_t i = 0; i < 2; ++i) {
    const Sizes s(v[i].shape().begin(), v[i].shape().end());
    v[i].reshape(Sizes{s[0], s[1], 1, s[2]});
  }
  Array y = plain_conv2d(v, {.stride = {1, o.stride},
                             .padding = {0, o.padding},
                             .dilation = {1, o.dilation},
                             .groups = o.groups});
  const Sizes s(y.shape().begin(), y.shape().end());
  y.reshape(Sizes{s[0], s[1], s[3]});
  return y;
}

Row plane_row(const std::string& name, const std::vector<Input>& inputs,
              const Conv2dOptions& options) {
  return {.name = "conv2d, " + name,
          .inputs = inputs,
          .apply =
              [options](const Vars& v) {
                return v.size() > 2 ? conv2d(v[0], v[1], v[2], options)
                                    : conv2d(v[0], v[1], options);
              },
          .expected = [options](const Arrays& v) { return plain_conv2d(v, options); }};
}

Row sequence_row(const std::string& name, const std::vector<Input>& inputs,
                 const Conv1dOptions& options) {
  return {.name = "conv1d, " + name,
          .inputs = inputs,
          .apply =
              [options](const Vars& v) {
                return v.size() > 2 ? conv1d(v[0], v[1], v[2], options)
                                    : conv1d(v[0], v[1], options);
              },
          .expected = [options](const Arrays& v) { return plain_conv1d(v, options); }};
}

/// Pools x [B, C, H, W] over windows, to the maximum or the mean.
Array plain_pool(const Array& x, const PoolOptions2d& o, bool largest) {
  const auto by = [](int64_t stride, int64_t kernel) { return stride == 0 ? kernel : stride; };
  const int64_t down = by(o.stride.height, o.kernel.height);
  const int64_t across = by(o.stride.width, o.kernel.width);
  const size_t high =
      places(x.shape()[2], static_cast<size_t>(o.kernel.height), down, o.padding.height, 1);
  const size_t wide =
      places(x.shape()[3], static_cast<size_t>(o.kernel.width), across, o.padding.width, 1);
  Array y(Sizes{x.shape()[0], x.shape()[1], high, wide});
  for (size_t b = 0; b < x.shape()[0]; ++b) {
    for (size_t c = 0; c < x.shape()[1]; ++c) {
      for (size_t i = 0; i < high; ++i) {
        for (size_t j = 0; j < wide; ++j) {
          double top = -std::numeric_limits<double>::infinity(), sum = 0;
          for (int64_t p = 0; p < o.kernel.height; ++p) {
            for (int64_t q = 0; q < o.kernel.width; ++q) {
              const int64_t row = static_cast<int64_t>(i) * down + p - o.padding.height;
              const int64_t column = static_cast<int64_t>(j) * across + q - o.padding.width;
              sum += padded(x, b, c, row, column);
              if (row < 0 || row >= static_cast<int64_t>(x.shape()[2])) continue;
              if (column < 0 || column >= static_cast<int64_t>(x.shape()[3])) continue;
              top = std::max(top, padded(x, b, c, row, column));
            }
          }
          const int64_t count = o.kernel.height * o.kernel.width;
          y(b, c, i, j) = largest ? top : sum / static_cast<double>(count);
        }
      }
    }
  }
  return y;
}

void add_pools(std::vector<Row>& rows, const std::string& name, const Shape& shape,
               const PoolOptions2d& o) {
  rows.push_back({.name = "max_pool2d, " + name,
                  .inputs = {{shape}},
                  .apply = [o](const Vars& v) { return max_pool2d(v[0], o); },
                  .expected = [o](const Arrays& v) { return plain_pool(v[0], o, true); }});
  rows.push_back({.name = "avg_pool2d, " + name,
                  .inputs = {{shape}},
                  .apply = [o](const Vars& v) { return avg_pool2d(v[0], o); },
                  .expected = [o](const Arrays& v) { return plain_pool(v[0], o, false); }});
}

void add_pools(std::vector<Row>& rows, const std::string& name, const Shape& shape,
               const PoolOptions1d& o) {
  const auto plain = [o](const Array& x, bool largest) {
    const Sizes s(x.shape().begin(), x.shape().end());
    Array planes = x;
    planes.reshape(Sizes{s[0], s[1], 1, s[2]});
    Array y = plain_pool(
        planes, {.kernel = {1, o.kernel}, .stride = {0, o.stride}, .padding = {0, o.padding}},
        largest);
    y.reshape(Sizes{s[0], s[1], y.shape()[3]});
    return y;
  };
  rows.push_back({.name = "max_pool1d, " + name,
                  .inputs = {{shape}},
                  .apply = [o](const Vars& v) { return max_pool1d(v[0], o); },
                  .expected = [plain](const Arrays& v) { return plain(v[0], true); }});
  rows.push_back({.name = "avg_pool1d, " + name,
                  .inputs = {{shape}},
                  .apply = [o](const Vars& v) { return avg_pool1d(v[0], o); },
                  .expected = [plain](const Arrays& v) { return plain(v[0], false); }});
}

}  // namespace

std::vector<Row> convolution_rows() {
  std::vector<Row> rows{
      plane_row("3 x 3", {{{2, 3, 5, 6}}, {{4, 3, 3, 3}}, {{4}}}, {}),
      plane_row("padded, without a bias", {{{2, 2, 4, 5}}, {{3, 2, 3, 3}}}, {.padding = 1}),
      plane_row("strided and padded", {{{2, 3, 6, 7}}, {{5, 3, 3, 3}}, {{5}}},
                {.stride = 2, .padding = 1}),
      plane_row("every option different in height and width",
                {{{2, 2, 9, 8}}, {{3, 2, 2, 3}}, {{3}}},
                {.stride = {3, 2}, .padding = {1, 2}, .dilation = {2, 1}}),
      plane_row("dilated beyond the stride", {{{1, 2, 9, 9}}, {{2, 2, 3, 2}}},
                {.stride = 2, .padding = 2, .dilation = 3}),
      plane_row("strides longer than the kernel", {{{2, 2, 7, 8}}, {{3, 2, 2, 2}}, {{3}}},
                {.stride = {4, 3}}),
      plane_row("more padding than the kernel reaches", {{{1, 2, 2, 3}}, {{2, 2, 2, 2}}},
                {.padding = 3}),
      plane_row("groups", {{{2, 4, 4, 5}}, {{6, 2, 3, 3}}, {{6}}}, {.padding = 1, .groups = 2}),
      plane_row("depthwise", {{{2, 3, 5, 6}}, {{3, 1, 3, 3}}, {{3}}}, {.padding = 1, .groups = 3}),
      plane_row("depthwise, strided, two outputs a channel", {{{2, 3, 7, 6}}, {{6, 1, 3, 2}}},
                {.stride = {2, 3}, .padding = 1, .dilation = {1, 2}, .groups = 3}),
      plane_row("a single channel", {{{2, 1, 6, 19}}, {{3, 1, 3, 3}}, {{3}}},
                {.stride = 2, .padding = 1}),
      plane_row("a single output", {{{2, 5, 4, 21}}, {{1, 5, 3, 3}}, {{1}}}, {.padding = 1}),
      plane_row("1 x 1", {{{2, 5, 3, 7}}, {{4, 5, 1, 1}}, {{4}}}, {}),
      plane_row("1 x 1, strided", {{{2, 3, 5, 7}}, {{4, 3, 1, 1}}}, {.stride = 2}),
      plane_row("more outputs than a vector register holds",
                {{{2, 2, 3, 4}}, {{35, 2, 2, 2}}, {{35}}}, {.padding = 1}),
      plane_row("more channels than a vector register holds", {{{1, 18, 3, 4}}, {{2, 18, 2, 3}}},
                {.stride = {1, 2}, .padding = 1}),
      sequence_row("strided and padded", {{{2, 5, 11}}, {{4, 5, 3}}, {{4}}},
                   {.stride = 2, .padding = 1}),
      sequence_row("dilated, in groups, without a bias", {{{3, 4, 9}}, {{6, 2, 3}}},
                   {.padding = 2, .dilation = 2, .groups = 2}),
      sequence_row("depthwise", {{{2, 3, 37}}, {{3, 1, 5}}, {{3}}}, {.padding = 2, .groups = 3}),
      sequence_row("depthwise, strided", {{{2, 3, 38}}, {{3, 1, 4}}},
                   {.stride = 3, .padding = 2, .groups = 3}),
      sequence_row("pointwise", {{{2, 6, 5}}, {{3, 6, 1}}, {{3}}}, {}),
      sequence_row("one place", {{{2, 3, 4}}, {{2, 3, 4}}, {{2}}}, {}),
  };
  rows.push_back({.name = "conv2d, of views",
                  .inputs = {{{2, 5, 6, 3}}, {{3, 3, 3, 8}}, {{8}}},
                  .apply =
                      [](const Vars& v) {
                        return conv2d(permute(v[0], {0, 3, 1, 2}),
                                      slice(permute(v[1], {3, 2, 0, 1}), 0, 0, to_end, 2),
                                      slice(v[2], 0, 0, to_end, 2), {.padding = 1});
                      },
                  .expected =
                      [](const Arrays& v) {
                        const Array w = xt::transpose(v[1], Sizes{3, 2, 0, 1});
                        return plain_conv2d({Array(xt::transpose(v[0], Sizes{0, 3, 1, 2})),
                                             Array(xt::view(w, xt::range(0, 8, 2))),
                                             Array(xt::view(v[2], xt::range(0, 8, 2)))},
                                            {.padding = 1});
                      }});
  add_pools(rows, "2 x 2", {2, 3, 6, 8}, PoolOptions2d{.kernel = 2});
  add_pools(rows, "with a rest", {2, 2, 7, 37}, PoolOptions2d{.kernel = {2, 3}});
  add_pools(rows, "windows that overlap, padded", {2, 2, 7, 6},
            PoolOptions2d{.kernel = 3, .stride = 2, .padding = 1});
  add_pools(rows, "windows apart", {1, 2, 8, 9}, PoolOptions2d{.kernel = {1, 2}, .stride = {3, 4}});
  add_pools(rows, "2", {2, 3, 9}, PoolOptions1d{.kernel = 2});
  add_pools(rows, "windows that overlap, padded", {2, 3, 20},
            PoolOptions1d{.kernel = 4, .stride = 1, .padding = 2});
  return rows;
}

}  // namespace rapt::test
