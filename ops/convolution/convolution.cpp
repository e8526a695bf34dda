#include "ops/convolution/convolution.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/core/parallel.hpp"
#include "ops/kernels/convolution/convolution.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using kernels::ConvolutionPass;
using kernels::ConvolutionPlan;
using kernels::ConvolutionShape;

/// Options for rows and columns. A sequence is treated as a plane of one row.
struct ConvolutionAttributes {
  int64_t stride[2], padding[2], dilation[2], groups;
  int64_t size[2];  // last two axes of the result, if the inputs do not determine them
  int64_t rank;     // rank of x
  int64_t bias;     // 1: the weight's gradient operator also computes the bias's
};

template <class T>
const kernels::ConvolutionFunctions<T>& convolution_kernels() {
  return kernels::kernels_for<kernels::ConvolutionKernels, T>();
}

/// Returns the size of axis `i` of a plane: its rows (0) or its columns (1).
int64_t plane_axis(const Shape& shape, int i) {
  return i == 0 && shape.rank() == 3 ? 1 : shape[i - 2];
}

ConvolutionShape shape_of(const Shape& x, const Shape& weight, const Shape& y,
                          const ConvolutionAttributes& a) {
  const auto axis = [&](int i) {
    return kernels::ConvolutionAxis{.in = plane_axis(x, i),
                                    .out = plane_axis(y, i),
                                    .kernel = plane_axis(weight, i),
                                    .stride = a.stride[i],
                                    .padding = a.padding[i],
                                    .dilation = a.dilation[i]};
  };
  return {.batch = x[0],
          .channels = x[1],
          .out_channels = y[1],
          .groups = a.groups,
          .rows = axis(0),
          .columns = axis(1)};
}

ConvolutionShape shape_of(const ForwardContext& c, ConvolutionPass pass) {
  const auto attributes = c.attributes<ConvolutionAttributes>();
  const Shape &first = c.input(0).shape, &second = c.input(1).shape, &result = c.output().shape;
  switch (pass) {
    case ConvolutionPass::forward:
      return shape_of(first, second, result, attributes);
    case ConvolutionPass::input_gradient:
      return shape_of(result, second, first, attributes);
    default:
      return shape_of(second, result, first, attributes);
  }
}

template <class T>
void convolve(const ForwardContext& c, ConvolutionPass pass) {
  const auto& kernel = convolution_kernels<T>();
  const ConvolutionPlan plan = kernel.plan(pass, shape_of(c, pass), c.outputs() > 1);
  void* const shared = c.scratch();
  const T *from = c.input(0).as<const T>(), *other = c.input(1).as<const T>();
  const T* const bias = c.inputs() > 2 ? c.input(2).as<const T>() : nullptr;
  const bool weight = pass == ConvolutionPass::weight_gradient;
  if (weight) std::swap(from, other);
  T* const to = c.output().as<T>();
  T* const bias_to = c.outputs() > 1 ? c.output(1).as<T>() : nullptr;
  c.parallel(plan.prepare_tasks,
             [&](int64_t task) { kernel.prepare(plan, weight ? nullptr : other, shared, task); });
  c.parallel(plan.tasks, [&](int64_t task) {
    kernel.run(plan, from, other, bias, to, shared,
               worker_scratch(static_cast<int64_t>(plan.worker_bytes)), task);
  });
  c.parallel(plan.combine_tasks,
             [&](int64_t task) { kernel.combine(plan, shared, to, bias_to, task); });
}

template <ConvolutionPass pass>
void forward(const ForwardContext& c) {
  by_float_type(c.output().dtype, [&]<class T>() { convolve<T>(c, pass); });
}

template <ConvolutionPass pass>
int64_t scratch(const ForwardContext& c) {
  int64_t bytes = 0;
  by_float_type(c.output().dtype, [&]<class T>() {
    const ConvolutionPlan plan =
        convolution_kernels<T>().plan(pass, shape_of(c, pass), c.outputs() > 1);
    bytes = static_cast<int64_t>(plan.shared_bytes);
  });
  return bytes;
}

template <ConvolutionPass pass>
double flops(const ForwardContext& c) {
  const ConvolutionShape s = shape_of(c, pass);
  return 2.0 * static_cast<double>(s.batch * s.out_channels * s.rows.out * s.columns.out) *
         static_cast<double>(s.channels / s.groups * s.rows.kernel * s.columns.kernel);
}

// ---- shapes -------------------------------------------------------------------------------------

/// Returns the name of an axis for messages: of a sequence, or of the rows or columns of a plane.
const char* axis_name(int rank, int i) {
  return rank == 3 ? "length" : i == 0 ? "height" : "width";
}

void check_options(const ShapeContext& c, const ConvolutionAttributes& a) {
  for (int i = 0; i < 2; ++i) {
    if (a.stride[i] < 1 || a.dilation[i] < 1 || a.padding[i] < 0) {
      c.fail(fmt::format("expected a stride and a dilation of at least 1 and no negative padding, "
                         "got stride {}, "
                         "dilation {}, padding {}",
                         a.stride[i], a.dilation[i], a.padding[i]),
             ErrorKind::usage);
    }
  }
  if (a.groups < 1)
    c.fail(fmt::format("expected at least 1 group, got {}", a.groups), ErrorKind::usage);
}

Shape convolution_shape(ShapeContext& c) {
  const Shape &x = c.input(0), &weight = c.input(1);
  const auto a = c.attributes<ConvolutionAttributes>();
  const bool sequence = a.rank == 3;
  const int rank = static_cast<int>(a.rank);
  c.one_float_type(c.inputs());
  check_options(c, a);
  if (x.rank() != rank || weight.rank() != rank) {
    c.fail(fmt::format("expected x {} and weight {}, got {} and {}",
                       sequence ? "[B, C, T]" : "[B, C, H, W]",
                       sequence ? "[O, C / groups, K]" : "[O, C / groups, KH, KW]", to_string(x),
                       to_string(weight)));
  }
  if (weight.size() == 0) {
    c.fail(fmt::format("expected a weight with elements, got {}", to_string(weight)));
  }
  if (x[1] % a.groups != 0 || weight[0] % a.groups != 0) {
    c.fail(
        fmt::format("{} groups do not divide both the {} channels of x {} and the {} of weight {}",
                    a.groups, x[1], to_string(x), weight[0], to_string(weight)));
  }
  if (x[1] / a.groups != weight[1]) {
    c.fail(
        fmt::format("x {} has {} channels in {} groups, so that the weight's second axis should "
                    "be {}; got {}",
                    to_string(x), x[1], a.groups, x[1] / a.groups, to_string(weight)));
  }
  if (c.inputs() == 3 && c.input(2) != Shape{weight[0]}) {
    c.fail(fmt::format("expected a bias [{}] for weight {}, got {}", weight[0], to_string(weight),
                       to_string(c.input(2))));
  }
  Shape y{x[0], weight[0]};
  for (int i = 4 - rank; i < 2; ++i) {
    const int64_t size = plane_axis(x, i), kernel = plane_axis(weight, i);
    const int64_t places = window_places(size, kernel, a.stride[i], a.padding[i], a.dilation[i]);
    if (places == 0) {
      c.fail(
          fmt::format("the kernel {} reaches over {} elements, more than the {} {} of x {} with "
                      "a padding of {}",
                      to_string(weight), a.dilation[i] * (kernel - 1) + 1, axis_name(rank, i), size,
                      to_string(x), a.padding[i]));
    }
    y.push_back(places);
  }
  return y;
}

/// Returns the shape of a gradient operator's result: two sizes of its inputs, then those in the
/// attributes.
Shape gradient_shape(int64_t first, int64_t second, const Shape& like,
                     const ConvolutionAttributes& a) {
  Shape shape{first, second};
  for (int i = 4 - like.rank(); i < 2; ++i) shape.push_back(a.size[i]);
  return shape;
}

ConvolutionAttributes with_size_of(ConvolutionAttributes attributes, const Shape& shape) {
  for (int i = 0; i < 2; ++i) attributes.size[i] = plane_axis(shape, i);
  attributes.bias = 0;
  return attributes;
}

// ---- operators ----------------------------------------------------------------------------------

Var convolution(int rank, const Arg& x, const Arg& weight, const Arg& bias,
                ConvolutionAttributes attributes);
Var input_gradient(const Var& g, const Var& weight, const Shape& x,
                   const ConvolutionAttributes& attributes);
Var weight_gradient(const Var& g, const Var& x, const Shape& weight,
                    const ConvolutionAttributes& attributes, bool bias = false);

// y = x * w + b is linear in x and in w, and both gradients are linear in their operands. So the
// three operators are closed under differentiation.
void convolution_gradient(GradientContext& c) {
  const auto a = c.attributes<ConvolutionAttributes>();
  const Var x = c.input(0), weight = c.input(1), g = c.output_grad();
  if (c.needs(0)) c.input_grad(0) = input_gradient(g, weight, x.shape(), a);
  const bool bias = c.inputs() > 2 && c.needs(2);
  if (!c.needs(1) && !bias) return;
  const Var gradient = weight_gradient(g, x, weight.shape(), a, bias);
  if (c.needs(1)) c.input_grad(1) = gradient;
  if (bias) c.input_grad(2) = gradient.output(1);
}

constexpr Op make_convolution(std::string_view name) {
  return {.name = name,
          .shape = [](ShapeContext& c) { return convolution_shape(c); },
          .gradient = convolution_gradient,
          .cpu = {.forward = forward<ConvolutionPass::forward>,
                  .scratch = scratch<ConvolutionPass::forward>,
                  .flops = flops<ConvolutionPass::forward>}};
}

constinit const Op conv1d_op = make_convolution("conv1d"), conv2d_op = make_convolution("conv2d");

// Gradient of x, defined by sum(gx * u) = sum(g * (u * w)) for every u of x's shape. Inputs: g of
// y's shape, w.
constinit const Op input_gradient_op{
    .name = "convolution_input_gradient",
    .shape =
        [](ShapeContext& c) {
          const auto a = c.attributes<ConvolutionAttributes>();
          return gradient_shape(c.input(0)[0], c.input(1)[1] * a.groups, c.input(0), a);
        },
    .gradient =
        [](GradientContext& c) {
          const auto a = c.attributes<ConvolutionAttributes>();
          const Var g = c.input(0), weight = c.input(1), u = c.output_grad();
          if (c.needs(0)) c.input_grad(0) = convolution(u.rank(), u, weight, Var(), a);
          if (c.needs(1)) c.input_grad(1) = weight_gradient(g, u, weight.shape(), a);
        },
    .cpu = {.forward = forward<ConvolutionPass::input_gradient>,
            .scratch = scratch<ConvolutionPass::input_gradient>,
            .flops = flops<ConvolutionPass::input_gradient>}};

// Gradient of w, defined by sum(gw * v) + sum(gb * b) = sum(g * (x * v + b)) for every v of w's
// shape and every bias b. Inputs: g of y's shape, x. Outputs: gw, and optionally the bias's
// gradient gb.
constinit const Op weight_gradient_op{
    .name = "convolution_weight_gradient",
    .shape =
        [](ShapeContext& c) {
          const auto a = c.attributes<ConvolutionAttributes>();
          const int64_t channels = c.input(0)[1];
          c.output(gradient_shape(channels, c.input(1)[1] / a.groups, c.input(0), a), c.dtype(0));
          if (a.bias != 0) c.output({channels}, c.dtype(0));
        },
    .gradient =
        [](GradientContext& c) {
          const auto a = c.attributes<ConvolutionAttributes>();
          const Var g = c.input(0), x = c.input(1), v = c.output_grad();
          const Var b = a.bias != 0 && c.has_output_grad(1) ? c.output_grad(1) : Var();
          if (c.needs(0)) c.input_grad(0) = convolution(x.rank(), x, v, b, a);
          if (c.needs(1)) c.input_grad(1) = input_gradient(g, v, x.shape(), a);
        },
    .cpu = {.forward = forward<ConvolutionPass::weight_gradient>,
            .scratch = scratch<ConvolutionPass::weight_gradient>,
            .flops = flops<ConvolutionPass::weight_gradient>}};

StaticOp convolution_op(int rank) { return rank == 3 ? StaticOp(conv1d_op) : StaticOp(conv2d_op); }

Var input_gradient(const Var& g, const Var& weight, const Shape& x,
                   const ConvolutionAttributes& attributes) {
  return record(input_gradient_op, {g, weight}, with_size_of(attributes, x));
}

Var weight_gradient(const Var& g, const Var& x, const Shape& weight,
                    const ConvolutionAttributes& attributes, bool bias) {
  ConvolutionAttributes a = with_size_of(attributes, weight);
  a.bias = bias ? 1 : 0;
  return record(weight_gradient_op, {g, x}, a);
}

Var convolution(int rank, const Arg& x, const Arg& weight, const Arg& bias,
                ConvolutionAttributes attributes) {
  attributes.size[0] = attributes.size[1] = attributes.bias = 0;
  attributes.rank = rank;
  const StaticOp op = convolution_op(rank);
  if (bias.is_empty()) return record(op, {x, weight}, attributes);
  return record(op, {x, weight, bias}, attributes);
}

}  // namespace

Var conv1d(const Arg& x, const Arg& weight, const Arg& bias, const Conv1dOptions& options) {
  return convolution(3, x, weight, bias,
                     {.stride = {1, options.stride},
                      .padding = {0, options.padding},
                      .dilation = {1, options.dilation},
                      .groups = options.groups,
                      .size = {},
                      .rank = 0,
                      .bias = 0});
}

Var conv1d(const Arg& x, const Arg& weight, const Conv1dOptions& options) {
  return conv1d(x, weight, Arg(Var(), x.where), options);
}

Var conv2d(const Arg& x, const Arg& weight, const Arg& bias, const Conv2dOptions& options) {
  return convolution(4, x, weight, bias,
                     {.stride = {options.stride.height, options.stride.width},
                      .padding = {options.padding.height, options.padding.width},
                      .dilation = {options.dilation.height, options.dilation.width},
                      .groups = options.groups,
                      .size = {},
                      .rank = 0,
                      .bias = 0});
}

Var conv2d(const Arg& x, const Arg& weight, const Conv2dOptions& options) {
  return conv2d(x, weight, Arg(Var(), x.where), options);
}

}  // namespace v0
}  // namespace rapt
