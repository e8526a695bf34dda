#include "ops/rows/softmax.hpp"

#include <fmt/format.h>

#include <limits>

#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/elementwise/pointwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct SoftmaxAttributes {
  int64_t axis;  // the last axis, or an invalid one, which is reported
};

// Inputs: x, and optionally a mask.
Shape softmax_shape(ShapeContext& c) {
  const Shape& x = c.input(0);
  if (!is_float(c.dtype(0))) {
    c.fail(fmt::format("expected a float type, got {}", name(c.dtype(0))), ErrorKind::type);
  }
  checked_axis(c, c.attributes<SoftmaxAttributes>().axis, x);
  if (c.inputs() == 1) return x;
  if (c.dtype(1) != DType::boolean) {
    c.fail(fmt::format("the mask has to be boolean, it is {}", name(c.dtype(1))), ErrorKind::type);
  }
  Shape both;
  if (!broadcast(x, c.input(1), both) || both != x) {
    c.fail(
        fmt::format("the mask {} does not broadcast to {}", to_string(c.input(1)), to_string(x)));
  }
  return x;
}

/// Returns the mask as seen from the rows of `shape`. The last axis of the mask is as long as the
/// rows.
kernels::RowMask row_mask(const ForwardContext& c, int input, const Shape& shape) {
  kernels::RowMask mask;
  if (c.inputs() <= input) return mask;
  const TensorView& view = c.input(input);
  mask.data = view.as<const uint8_t>();
  mask.dims = shape.rank() - 1;
  for (int axis = 0; axis < mask.dims; ++axis) {
    const int own = axis - (shape.rank() - view.shape.rank());
    mask.shape[axis] = shape[axis];
    mask.strides[axis] =
        own < 0 || view.shape[own] == 1 ? 0 : view.strides[static_cast<size_t>(own)];
  }
  return mask;
}

template <bool logarithm>
void forward_rows(const ForwardContext& c, int64_t begin, int64_t end) {
  by_float_type(c.output().dtype, [&]<class T>() {
    const Shape& shape = c.output().shape;
    const kernels::SoftmaxForward<T> arguments{.x = c.input(0).as<const T>(),
                                               .y = c.output().as<T>(),
                                               .width = shape[-1],
                                               .mask = row_mask(c, 1, shape)};
    const auto& kernel = row_kernels<T>();
    (logarithm ? kernel.log_softmax : kernel.softmax)(arguments, begin, end);
  });
}

// Inputs: y, the gradient of y, and for log-softmax optionally the mask.
template <bool logarithm>
void backward_rows(const ForwardContext& c, int64_t begin, int64_t end) {
  by_float_type(c.output().dtype, [&]<class T>() {
    const Shape& shape = c.output().shape;
    const kernels::SoftmaxBackward<T> arguments{
        .y = c.input(0).as<const T>(),
        .dy = c.input(1).as<const T>(),
        .dx = c.output().as<T>(),
        .width = shape[-1],
        .mask = row_mask(c, 2, shape),
        .streaming = !logarithm && write_past_caches(c.output())};
    const auto& kernel = row_kernels<T>();
    (logarithm ? kernel.log_softmax_backward : kernel.softmax_backward)(arguments, begin, end);
  });
}

template <bool logarithm>
constexpr Rowwise forward_rowwise{
    .extent = [](const ForwardContext& c) { return row_extent(c.output().shape, 1, 1); },
    .rows = forward_rows<logarithm>};

template <bool logarithm>
constexpr Rowwise backward_rowwise{
    .extent = [](const ForwardContext& c) { return row_extent(c.output().shape, 3, 1); },
    .rows = backward_rows<logarithm>};

Shape with_front_axis(const Shape& shape) {
  Shape result{1};
  for (const int64_t size : shape) result.push_back(size);
  return result;
}

Var row_sum(const Var& x) { return sum(x, -1, true); }

/// Intermediate values that softmax and log-softmax share.
struct Exponentials {
  Var shifted;  // x - max(x) where kept, else -inf
  Var total;    // [.., 1]: the sum of exp(shifted), or 1 if all are -inf
};

Exponentials exponentials(ReferenceContext& c) {
  const Var x = c.inputs() == 2 ? where(c.input(1), c.input(0), -infinity) : c.input(0);
  const Var top = max(x, -1, true);
  const Var shifted = x - where(top > -infinity, top, 0);
  const Var total = row_sum(exp(shifted));
  return {shifted, where(total > 0, total, 1)};
}

void softmax_reference(ReferenceContext& c) {
  const auto [shifted, total] = exponentials(c);
  c.output() = exp(shifted) / total;
}

void log_softmax_reference(ReferenceContext& c) {
  const auto [shifted, total] = exponentials(c);
  const Var y = shifted - log(total);
  c.output() = c.inputs() == 2 ? where(any(c.input(1), -1, true), y, 0) : y;
}

// dx = y (g - sum(y g))
constinit const Op softmax_grad_op{.name = "softmax_grad",
                                   .shape = [](ShapeContext& c) { return c.input(0); },
                                   .reference =
                                       [](ReferenceContext& c) {
                                         const Var y = c.input(0), g = c.input(1);
                                         c.output() = y * (g - row_sum(y * g));
                                       },
                                   .traits = {.in_place = 1u << 1},
                                   .cpu = {.rowwise = &backward_rowwise<false>}};

// y = exp(x) / sum(exp(x)) over the elements that the mask keeps
constinit const Op softmax_op{
    .name = "softmax",
    .shape = [](ShapeContext& c) { return softmax_shape(c); },
    .gradient =
        [](GradientContext& c) {
          c.input_grad(0) = record(softmax_grad_op, {c.output(), c.output_grad()});
        },
    .reference = softmax_reference,
    .traits = {.in_place = 1u << 0},
    .cpu = {.rowwise = &forward_rowwise<false>}};

// dx = g - exp(y) sum(g) over the elements that the mask keeps; 0 if all of y is -inf. A row that
// keeps no element has sum(g) = 0.
constinit const Op log_softmax_grad_op{
    .name = "log_softmax_grad",
    .shape = [](ShapeContext& c) { return c.input(0); },
    .reference =
        [](ReferenceContext& c) {
          const Var y = c.input(0);
          const bool has_mask = c.inputs() == 3;
          const Var g = has_mask ? where(c.input(2), c.input(1), 0) : c.input(1);
          const Var some = any(y > -infinity, -1, true);
          c.output() = where(some, g - exp(y) * row_sum(g), 0);
        },
    .traits = {.in_place = 1u << 1},
    .cpu = {.rowwise = &backward_rowwise<true>}};

// y = x - m - log(sum(exp(x - m))) with m = max(x), over the elements that the mask keeps
constinit const Op log_softmax_op{
    .name = "log_softmax",
    .shape = [](ShapeContext& c) { return softmax_shape(c); },
    .gradient =
        [](GradientContext& c) {
          const Var y = c.output(), g = c.output_grad();
          c.input_grad(0) = c.inputs() == 2 ? record(log_softmax_grad_op, {y, g, c.input(1)})
                                            : record(log_softmax_grad_op, {y, g});
        },
    .reference = log_softmax_reference,
    .traits = {.in_place = 1u << 0, .makes_infinity = true},
    .cpu = {.rowwise = &forward_rowwise<true>}};

/// Returns the mask in the form that the operators expect. It has as many axes as x, with `axis`
/// moved to the end and broadcast to full length, because kernels read the rows of a mask without a
/// stride.
Var dense_mask(const Var& x, const Var& given, int axis) {
  const Shape shape = x.shape();
  Shape own = given.shape();
  Shape both;
  // The operator itself reports a mask that does not fit.
  if (!broadcast(shape, own, both) || both != shape) return given;
  while (own.rank() < shape.rank()) own = with_front_axis(own);
  Shape dense = own;
  dense[axis] = shape[axis];
  Var mask = reshape(given, own);
  if (dense != own) mask = broadcast_to(mask, dense);
  return axis == shape.rank() - 1 ? mask : transpose(mask, axis, -1);
}

Var along_axis(StaticOp op, const Arg& arg, const SoftmaxOptions& options) {
  const Var x = as_var(arg);
  const int last = x.rank() - 1;
  const int axis = from_front(options.axis, x.rank());
  const bool inside = axis >= 0 && axis <= last;
  const bool turned = inside && axis != last;
  const Arg rows(turned ? transpose(Arg(x, arg.where), axis, last) : x, arg.where);
  const SoftmaxAttributes attributes{inside ? last : options.axis};
  Var y;
  if (!options.mask.is_empty()) {
    const Var mask = inside ? dense_mask(x, options.mask, axis) : options.mask;
    y = record(op, {rows, mask}, attributes);
  } else {
    y = record(op, {rows}, attributes);
  }
  return turned ? transpose(y, axis, last) : y;
}

}  // namespace

Var softmax(const Arg& x, const SoftmaxOptions& options) {
  return along_axis(softmax_op, x, options);
}

Var log_softmax(const Arg& x, const SoftmaxOptions& options) {
  return along_axis(log_softmax_op, x, options);
}

// y = keep ? scores : -inf
constinit const Op masked_op = [] {
  Op op{.name = "masked",
        .shape =
            [](ShapeContext& c) {
              Shape shape;
              if (c.dtype(0) != DType::boolean || !is_float(c.dtype(1))) {
                c.fail(fmt::format("expected a boolean mask and float scores, got {} and {}",
                                   name(c.dtype(0)), name(c.dtype(1))),
                       ErrorKind::type);
              }
              if (!broadcast(c.input(0), c.input(1), shape)) {
                c.fail(fmt::format("the mask {} does not broadcast to the scores {}",
                                   to_string(c.input(0)), to_string(c.input(1))));
              }
              c.output(shape, c.dtype(1));
            },
        .gradient =
            [](GradientContext& c) { c.input_grad(1) = where(c.input(0), c.output_grad(), 0); },
        .traits = {.makes_infinity = true},
        .cpu = {.pointwise = &pointwise_family,
                .code = code_of(kernels::Code::where),
                .strided_inputs = true}};
  return op;
}();

Var masked(const Arg& scores, const Arg& mask) {
  const Var x = as_var(scores);
  return record(masked_op,
                {Arg(mask.on(x.graph(), DType::boolean), mask.where), Arg(x, scores.where),
                 Arg(x.graph().constant(-infinity, x.dtype(), scores.where))});
}

}  // namespace v0
}  // namespace rapt
