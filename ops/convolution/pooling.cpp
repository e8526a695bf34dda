#include "ops/kernels/convolution/pooling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "framework/core/parallel.hpp"
#include "ops/convolution/pooling.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using kernels::PoolShape;

/// Options for rows and columns. A sequence is treated as a plane of one row.
struct PoolAttributes {
  int64_t axes;  // number of pooled axes, 1 or 2, at the end
  int64_t kernel[2], stride[2], padding[2];
  int64_t size[2];  // size of the result, if the input does not determine it
};

template <class T>
const kernels::PoolFunctions<T>& pool_kernels() {
  return kernels::kernels_for<kernels::PoolKernels, T>();
}

PoolShape pool_shape(const Shape& x, const Shape& y, const PoolAttributes& a) {
  PoolShape s{};
  for (int i = 0; i < 2; ++i) {
    const bool there = i >= 2 - a.axes;
    s.in[i] = there ? x[i - 2] : 1;
    s.out[i] = there ? y[i - 2] : 1;
    s.kernel[i] = a.kernel[i];
    s.stride[i] = a.stride[i];
    s.padding[i] = a.padding[i];
  }
  return s;
}

int64_t plane_size(const Shape& shape, const PoolAttributes& a) {
  return a.axes == 1 ? shape[-1] : shape[-2] * shape[-1];
}

/// Calls body(plane) for all planes of the input, in parallel.
template <class Body>
void over_planes(const ForwardContext& c, Body&& body) {
  const auto a = c.attributes<PoolAttributes>();
  const Shape &x = c.input(0).shape, &y = c.output().shape;
  const int64_t in = plane_size(x, a), out = plane_size(y, a);
  if (in * out == 0) return;
  over_ranges(c, y.size() / out, in + out, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) body(plane);
  });
}

/// Returns the input's shape with other last axes.
Shape with_size(const Shape& x, const PoolAttributes& a) {
  Shape shape = x;
  for (int64_t i = 2 - a.axes; i < 2; ++i) shape[static_cast<int>(i) - 2] = a.size[i];
  return shape;
}

Shape pooled_shape(ShapeContext& c) {
  const auto a = c.attributes<PoolAttributes>();
  const Shape& x = c.input(0);
  if (!is_float(c.dtype(0)))
    c.fail(fmt::format("expected floats, got {}", name(c.dtype(0))), ErrorKind::type);
  if (x.rank() < a.axes) {
    c.fail(
        fmt::format("expected x {}, got {}", a.axes == 1 ? "[.., T]" : "[.., H, W]", to_string(x)));
  }
  Shape y = x;
  for (int i = 2 - static_cast<int>(a.axes); i < 2; ++i) {
    const int64_t kernel = a.kernel[i], padding = a.padding[i], size = x[i - 2];
    if (kernel < 1 || a.stride[i] < 1) {
      c.fail(fmt::format("expected a kernel and a stride of at least 1, got {} and {}", kernel,
                         a.stride[i]),
             ErrorKind::usage);
    }
    if (padding < 0 || 2 * padding > kernel) {
      c.fail(fmt::format("expected a padding of at most half the kernel, got {} for a kernel of {}",
                         padding, kernel),
             ErrorKind::usage);
    }
    y[i - 2] = size == 0 ? 0 : window_places(size, kernel, a.stride[i], padding);
    if (y[i - 2] == 0) {
      c.fail(fmt::format("a kernel of {} does not fit in axis {} of {} with a padding of {}",
                         kernel, i - 2, to_string(x), padding));
    }
  }
  return y;
}

// ---- max pooling --------------------------------------------------------------------------------

extern const Op pick_op;

// Inputs: g of y's shape, index. gx = 0, then gx[index[i]] += g[i], plane by plane.
constinit const Op put_op{
    .name = "max_pool_gradient",
    .shape = [](ShapeContext& c) { return with_size(c.input(0), c.attributes<PoolAttributes>()); },
    .gradient =
        [](GradientContext& c) {
          const auto a = c.attributes<PoolAttributes>();
          c.input_grad(0) = record(pick_op, {c.output_grad(), c.input(1)}, a);
        },
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() {
        const auto a = c.attributes<PoolAttributes>();
        const int64_t in = plane_size(c.output().shape, a);
        const int64_t out = plane_size(c.input(0).shape, a);
        over_planes(c, [&](int64_t plane) {
          const T* const g = c.input(0).as<const T>() + plane * out;
          const int32_t* const index = c.input(1).as<const int32_t>() + plane * out;
          T* const x = c.output().as<T>() + plane * in;
          std::fill(x, x + in, T(0));
          for (int64_t i = 0; i < out; ++i) x[index[i]] += g[i];
        });
      });
    }}};

// Inputs: x, index. y[i] = x[index[i]], plane by plane.
constinit const Op pick_op{
    .name = "max_pool_pick",
    .shape = [](ShapeContext& c) { c.output(Shape(c.input(1)), c.dtype(0)); },
    .gradient =
        [](GradientContext& c) {
          const auto a = c.attributes<PoolAttributes>();
          c.input_grad(0) = record(put_op, {c.output_grad(), c.input(1)}, a);
        },
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() {
        const auto a = c.attributes<PoolAttributes>();
        const int64_t in = plane_size(c.input(0).shape, a);
        const int64_t out = plane_size(c.output().shape, a);
        over_planes(c, [&](int64_t plane) {
          const T* const x = c.input(0).as<const T>() + plane * in;
          const int32_t* const index = c.input(1).as<const int32_t>() + plane * out;
          T* const y = c.output().as<T>() + plane * out;
          for (int64_t i = 0; i < out; ++i) y[i] = x[index[i]];
        });
      });
    }}};

// y[i] = x[index[i]], where index[i] is the maximum's position in window i; index is the second
// output.
void max_gradient(GradientContext& c) {
  auto a = c.attributes<PoolAttributes>();
  const Shape x = c.input(0).shape();
  for (int64_t i = 2 - a.axes; i < 2; ++i) a.size[i] = x[static_cast<int>(i) - 2];
  c.input_grad(0) = record(put_op, {c.output_grad(), c.output(1)}, a);
}

void max_forward(const ForwardContext& c) {
  by_float_type(c.output().dtype, [&]<class T>() {
    const auto a = c.attributes<PoolAttributes>();
    const PoolShape s = pool_shape(c.input(0).shape, c.output().shape, a);
    const int64_t in = s.in[0] * s.in[1], out = s.out[0] * s.out[1];
    over_planes(c, [&](int64_t plane) {
      auto* const row =
          static_cast<T*>(worker_scratch(kernels::pool_scratch(s) * size_of(dtype_of<T>)));
      pool_kernels<T>().max(s, c.input(0).as<const T>() + plane * in,
                            c.output().as<T>() + plane * out,
                            c.output(1).as<int32_t>() + plane * out, row);
    });
  });
}

constexpr Op make_max(std::string_view name) {
  return {.name = name,
          .shape =
              [](ShapeContext& c) {
                const Shape y = pooled_shape(c);
                if (plane_size(c.input(0), c.attributes<PoolAttributes>()) - 1 >
                    std::numeric_limits<int32_t>::max()) {
                  c.fail(fmt::format("the pooled axes of {} have more places than int32 can count",
                                     to_string(c.input(0))));
                }
                c.output(y, c.dtype(0));
                c.output(y, DType::int32);
              },
          .gradient = max_gradient,
          .cpu = {.forward = max_forward}};
}

constinit const Op max_pool1d_op = make_max("max_pool1d"), max_pool2d_op = make_max("max_pool2d");

// ---- average pooling ----------------------------------------------------------------------------

template <class T>
T scale_of(const PoolAttributes& a) {
  return static_cast<T>(1.0 / static_cast<double>(a.kernel[0] * a.kernel[1]));
}

void average_gradient(GradientContext& c);

constexpr Op make_average(std::string_view name) {
  return {.name = name,
          .shape = [](ShapeContext& c) { return pooled_shape(c); },
          .gradient = average_gradient,
          .cpu = {.forward = [](const ForwardContext& c) {
            by_float_type(c.output().dtype, [&]<class T>() {
              const auto a = c.attributes<PoolAttributes>();
              const PoolShape s = pool_shape(c.input(0).shape, c.output().shape, a);
              over_planes(c, [&](int64_t plane) {
                auto* const row = static_cast<T*>(
                    worker_scratch(kernels::pool_scratch(s) * size_of(dtype_of<T>)));
                pool_kernels<T>().sum(s, c.input(0).as<const T>() + plane * s.in[0] * s.in[1],
                                      c.output().as<T>() + plane * s.out[0] * s.out[1],
                                      scale_of<T>(a), row);
              });
            });
          }}};
}

constinit const Op avg_pool1d_op = make_average("avg_pool1d"),
                   avg_pool2d_op = make_average("avg_pool2d");

// Transpose of average pooling. Both are linear, and each is the gradient of the other.
constinit const Op spread_op{
    .name = "avg_pool_gradient",
    .shape = [](ShapeContext& c) { return with_size(c.input(0), c.attributes<PoolAttributes>()); },
    .gradient =
        [](GradientContext& c) {
          const auto a = c.attributes<PoolAttributes>();
          c.input_grad(0) = record(a.axes == 1 ? StaticOp(avg_pool1d_op) : StaticOp(avg_pool2d_op),
                                   {c.output_grad()}, a);
        },
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() {
        const auto a = c.attributes<PoolAttributes>();
        const PoolShape s = pool_shape(c.output().shape, c.input(0).shape, a);
        over_planes(c, [&](int64_t plane) {
          auto* const row =
              static_cast<T*>(worker_scratch(kernels::pool_scratch(s) * size_of(dtype_of<T>)));
          pool_kernels<T>().spread(s, c.input(0).as<const T>() + plane * s.out[0] * s.out[1],
                                   c.output().as<T>() + plane * s.in[0] * s.in[1], scale_of<T>(a),
                                   row);
        });
      });
    }}};

void average_gradient(GradientContext& c) {
  auto a = c.attributes<PoolAttributes>();
  const Shape x = c.input(0).shape();
  for (int64_t i = 2 - a.axes; i < 2; ++i) a.size[i] = x[static_cast<int>(i) - 2];
  c.input_grad(0) = record(spread_op, {c.output_grad()}, a);
}

PoolAttributes attributes_of(const PoolOptions1d& o) {
  return {.axes = 1,
          .kernel = {1, o.kernel},
          .stride = {1, o.stride == 0 ? o.kernel : o.stride},
          .padding = {0, o.padding},
          .size = {}};
}

PoolAttributes attributes_of(const PoolOptions2d& o) {
  return {.axes = 2,
          .kernel = {o.kernel.height, o.kernel.width},
          .stride = {o.stride.height == 0 ? o.kernel.height : o.stride.height,
                     o.stride.width == 0 ? o.kernel.width : o.stride.width},
          .padding = {o.padding.height, o.padding.width},
          .size = {}};
}

}  // namespace

Var max_pool1d(const Arg& x, const PoolOptions1d& options) {
  return record(max_pool1d_op, {x}, attributes_of(options));
}

Var max_pool2d(const Arg& x, const PoolOptions2d& options) {
  return record(max_pool2d_op, {x}, attributes_of(options));
}

Var avg_pool1d(const Arg& x, const PoolOptions1d& options) {
  return record(avg_pool1d_op, {x}, attributes_of(options));
}

Var avg_pool2d(const Arg& x, const PoolOptions2d& options) {
  return record(avg_pool2d_op, {x}, attributes_of(options));
}

}  // namespace v0
}  // namespace rapt
