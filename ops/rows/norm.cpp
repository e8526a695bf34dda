#include "ops/rows/norm.hpp"

#include <fmt/format.h>

#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct NormAttributes {
  double eps;
};

/// Computes (x - mean) / sqrt(variance + eps). Without `centred` the mean is not subtracted.
Var normalised(const Var& x, double eps, bool centred) {
  const Var d = centred ? x - mean(x, -1, true) : x;
  return d * rsqrt(mean(square(d), -1, true) + eps);
}

// ---- forward ------------------------------------------------------------------------------------

// Inputs: x, weight, and for layer_norm the bias. Outputs: y and the statistics that the backward
// pass reads: rstd, and for layer_norm the mean.
void norm_shape(ShapeContext& c) {
  const Shape& x = c.input(0);
  if (x.rank() == 0) c.fail("a scalar has no last axis");
  c.one_float_type(c.inputs());
  for (int i = 0; i < c.inputs(); ++i) {
    if (i > 0 && c.input(i) != Shape{x[-1]}) {
      c.fail(fmt::format("expected x [.., C] and a {} [C], got {} and {}",
                         i == 1 ? "weight" : "bias", to_string(x), to_string(c.input(i))));
    }
  }
  const Shape shape = x, rows = leading_shape(x);
  const DType dtype = c.dtype(0);
  const int statistics = c.inputs() - 1;
  c.output(shape, dtype);
  for (int i = 0; i < statistics; ++i) c.output(rows, dtype);
}

template <bool centred>
void norm_rows(const ForwardContext& c, int64_t begin, int64_t end) {
  by_float_type(c.output().dtype, [&]<class T>() {
    const Shape& shape = c.output().shape;
    const kernels::NormForward<T> arguments{
        .x = c.input(0).as<const T>(),
        .y = c.output().as<T>(),
        .gamma = c.input(1).as<const T>(),
        .beta = centred ? c.input(2).as<const T>() : nullptr,
        .mean = centred ? c.output(2).as<T>() : nullptr,
        .rstd = c.output(1).as<T>(),
        .width = shape[-1],
        .epsilon = static_cast<T>(c.attributes<NormAttributes>().eps)};
    const auto& kernel = row_kernels<T>();
    (centred ? kernel.layer_norm : kernel.rms_norm)(arguments, begin, end);
  });
}

template <bool centred>
constexpr Rowwise norm_rowwise{
    .extent = [](const ForwardContext& c) { return row_extent(c.output().shape, 1, 7); },
    .rows = norm_rows<centred>};

template <bool centred>
void norm_reference(ReferenceContext& c) {
  const Var y = normalised(c.input(0), c.attributes<NormAttributes>().eps, centred) * c.input(1);
  c.output() = centred ? y + c.input(2) : y;
}

// ---- backward -----------------------------------------------------------------------------------

// Inputs: x, weight, the gradient of y, rstd, and for layer_norm the mean. Outputs: the gradients
// of x, weight, and for layer_norm of the bias.
void norm_grad_shape(ShapeContext& c) {
  const Shape x = c.input(0), weight = c.input(1);
  const DType dtype = c.dtype(0);
  const bool centred = c.inputs() == 5;
  c.output(x, dtype);
  c.output(weight, dtype);
  if (centred) c.output(weight, dtype);
}

int64_t norm_grad_scratch(const ForwardContext& c) {
  const Shape& x = c.input(0).shape;
  return kernels::norm_blocks(rows_of(x)) * 2 * x[-1] * size_of(c.input(0).dtype);
}

template <class T, bool centred>
kernels::NormBackward<T> norm_backward(const ForwardContext& c) {
  const Shape& shape = c.input(0).shape;
  return {.x = c.input(0).as<const T>(),
          .dy = c.input(2).as<const T>(),
          .dx = c.output(0).as<T>(),
          .gamma = c.input(1).as<const T>(),
          .mean = centred ? c.input(4).as<const T>() : nullptr,
          .rstd = c.input(3).as<const T>(),
          .partial = static_cast<T*>(c.scratch()),
          .dgamma = c.output(1).as<T>(),
          .dbeta = centred ? c.output(2).as<T>() : nullptr,
          .rows = rows_of(shape),
          .width = shape[-1],
          .streaming = write_past_caches(c.output(0))};
}

RowExtent norm_grad_extent(const ForwardContext& c) {
  RowExtent rows = row_extent(c.input(0).shape, 0b11101, 0b1);
  rows.block = kernels::norm_block_rows(rows.count);
  return rows;
}

template <bool centred>
void norm_grad_rows(const ForwardContext& c, int64_t begin, int64_t end) {
  by_float_type(c.output().dtype, [&]<class T>() {
    const auto arguments = norm_backward<T, centred>(c);
    const int64_t block = kernels::norm_block_rows(arguments.rows);
    const auto& kernel = row_kernels<T>();
    (centred ? kernel.layer_norm_backward : kernel.rms_norm_backward)(arguments, begin / block,
                                                                      (end + block - 1) / block);
  });
}

template <bool centred>
void norm_grad_finish(const ForwardContext& c) {
  by_float_type(c.output().dtype, [&]<class T>() {
    const auto arguments = norm_backward<T, centred>(c);
    const auto& kernel = row_kernels<T>();
    over_ranges(c, arguments.width, 2 * kernels::norm_blocks(arguments.rows),
                [&](int64_t begin, int64_t end) { kernel.norm_combine(arguments, begin, end); });
  });
}

template <bool centred>
constexpr Rowwise norm_grad_rowwise{.extent = norm_grad_extent,
                                    .rows = norm_grad_rows<centred>,
                                    .finish = norm_grad_finish<centred>};

// The statistics are functions of x. A second derivative differentiates them through x.
template <bool centred>
void norm_grad_reference(ReferenceContext& c) {
  const Var x = c.input(0), weight = c.input(1), g = c.input(2);
  const Var y = normalised(x, c.attributes<NormAttributes>().eps, centred) * weight;
  const std::vector<Var> gradients = vjp(std::span(&y, 1), std::span(&g, 1), {{x, weight}});
  c.output(0) = gradients[0];
  c.output(1) = gradients[1];
  if (centred) c.output(2) = sum_to(g, weight.shape());
}

constinit const Op layer_norm_grad_op{
    .name = "layer_norm_grad",
    .shape = &norm_grad_shape,
    .reference = norm_grad_reference<true>,
    .traits = {.in_place = 1u << 2},
    .cpu = {.rowwise = &norm_grad_rowwise<true>, .scratch = norm_grad_scratch}};

constinit const Op rms_norm_grad_op{
    .name = "rms_norm_grad",
    .shape = &norm_grad_shape,
    .reference = norm_grad_reference<false>,
    .traits = {.in_place = 1u << 2},
    .cpu = {.rowwise = &norm_grad_rowwise<false>, .scratch = norm_grad_scratch}};

// y = (x - mean) rstd weight + bias
constinit const Op layer_norm_op{
    .name = "layer_norm",
    .shape = &norm_shape,
    .gradient =
        [](GradientContext& c) {
          const Var x = c.input(0), weight = c.input(1), g = c.output_grad();
          const Var dx = record(layer_norm_grad_op, {x, weight, g, c.output(1), c.output(2)},
                                c.attributes<NormAttributes>());
          c.input_grad(0) = dx;
          c.input_grad(1) = dx.output(1);
          c.input_grad(2) = dx.output(2);
        },
    .reference = norm_reference<true>,
    .cpu = {.rowwise = &norm_rowwise<true>}};

// y = x rstd weight
constinit const Op rms_norm_op{
    .name = "rms_norm",
    .shape = &norm_shape,
    .gradient =
        [](GradientContext& c) {
          const Var x = c.input(0), weight = c.input(1), g = c.output_grad();
          const Var dx =
              record(rms_norm_grad_op, {x, weight, g, c.output(1)}, c.attributes<NormAttributes>());
          c.input_grad(0) = dx;
          c.input_grad(1) = dx.output(1);
        },
    .reference = norm_reference<false>,
    .cpu = {.rowwise = &norm_rowwise<false>}};

}  // namespace

Var layer_norm(const Arg& x, const Arg& weight, const Arg& bias, double eps) {
  return record(layer_norm_op, {x, weight, bias}, NormAttributes{eps});
}

Var rms_norm(const Arg& x, const Arg& weight, double eps) {
  return record(rms_norm_op, {x, weight}, NormAttributes{eps});
}

}  // namespace v0
}  // namespace rapt
