#include <fmt/format.h>

#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/products/product.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct LinearAttributes {
  int64_t activation;
  int64_t bias;    // 1: the third input is a bias
  int64_t packed;  // 1: the last recorded input is a packed copy of the weight
};

Shape linear_shape(ShapeContext& c) {
  const Shape &x = c.input(0), &weight = c.input(1);
  c.one_float_type(c.inputs());
  if (weight.rank() != 2 || x.rank() == 0 || x[-1] != weight[1]) {
    c.fail(fmt::format("expected x [.., in] and weight [out, in], got {} and {}", to_string(x),
                       to_string(weight)));
  }
  if (c.attributes<LinearAttributes>().bias != 0 && c.input(2) != Shape{weight[0]}) {
    c.fail(fmt::format("expected a bias [out] for weight [out, in], got {} and {}",
                       to_string(c.input(2)), to_string(weight)));
  }
  Shape shape = x;
  shape[-1] = weight[0];
  return shape;
}

template <class T>
void linear_forward_of(const ForwardContext& c) {
  const auto attributes = c.attributes<LinearAttributes>();
  const bool packed = attributes.packed != 0;
  const int recorded = 2 + (attributes.bias != 0) + packed;
  Product<T> product(c.input(0), false, c.input(1), true, c.output());
  if (packed) {
    product.gemm.b = c.input(recorded - 1).as<const T>();
    product.gemm.b_packed = true;
  }
  if (attributes.bias != 0) product.gemm.bias = c.input(2).as<const T>();
  product.gemm.activation = static_cast<Activation>(attributes.activation);
  add_residual(c, recorded, product);
  multiply(c, product);
}

void linear_forward(const ForwardContext& c) {
  by_float_type(c.output().dtype, [&]<class T>() { linear_forward_of<T>(c); });
}

Var activated(const Var& x, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return relu(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::tanh:
      return tanh(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::silu:
      return silu(x);
    case Activation::none:
      break;
  }
  return x;
}

/// True if the derivative can be computed from the activation's value alone, so that no other value
/// is kept.
bool known_by_value(Activation activation) {
  return activation != Activation::gelu && activation != Activation::silu;
}

/// Returns g times the activation's derivative at the point where its value is y.
Var through_activation(Activation activation, const Var& y, const Var& g) {
  switch (activation) {
    case Activation::relu:
      return where(y > 0, g, 0);
    case Activation::tanh:
      return g * (1 - square(y));
    case Activation::sigmoid:
      return g * y * (1 - y);
    default:
      return g;
  }
}

// y = f(x W' + b)
constinit const Op linear_op{
    .name = "linear",
    .shape = [](ShapeContext& c) { return linear_shape(c); },
    .gradient =
        [](GradientContext& c) {
          const auto attributes = c.attributes<LinearAttributes>();
          const auto activation = static_cast<Activation>(attributes.activation);
          const Var x = c.input(0), weight = c.input(1);
          const Var g = through_activation(activation, c.output(), c.output_grad());
          if (c.needs(0)) c.input_grad(0) = matmul(g, weight);
          if (c.needs(1)) c.input_grad(1) = product(as_rows(g), as_rows(x), true, false);
          if (attributes.bias != 0) c.input_grad(2) = g;  // the engine sums over the rows
        },
    .reference =
        [](ReferenceContext& c) {
          const auto attributes = c.attributes<LinearAttributes>();
          Var y = product(c.input(0), c.input(1), false, true);
          if (attributes.bias != 0) y = y + c.input(2);
          c.output() = activated(y, static_cast<Activation>(attributes.activation));
        },
    .cpu = {.forward = linear_forward,
            .flops = [](const ForwardContext& c) { return product_flops(c, c.input(1).shape[1]); },
            .strided_inputs = true,
            .fuses_residual =
                [](std::span<const int64_t> words) {
                  return attributes_of<LinearAttributes>(words).activation == 0;
                }}};

// ---- packed weights -----------------------------------------------------------------------------

/// Describes a product of `rows` rows and the weight [out, in].
template <class T>
Gemm<T> weight_product(int64_t rows, int64_t in, int64_t out) {
  return {.m = rows, .n = out, .k = in, .a_row = in, .b_row = 1, .b_col = in, .c_row = out};
}

template <class T>
int64_t packed_size(int64_t rows, int64_t in, int64_t out) {
  return kernels::kernels_for<kernels::GemmTable, T>().packed_size(
      weight_product<T>(rows, in, out));
}

struct PackAttributes {
  int64_t size;
};

template <class T>
void pack_forward_of(const ForwardContext& c) {
  const TensorView& weight = c.input(0);
  Gemm<T> g = weight_product<T>(0, weight.shape[1], weight.shape[0]);
  g.b = weight.as<const T>();
  g.b_row = weight.strides[1];
  g.b_col = weight.strides[0];
  const auto& kernel = kernels::kernels_for<kernels::GemmTable, T>();
  T* const packed = c.output().as<T>();
  c.parallel(kernel.pack_parts(g), [&](int64_t part) { kernel.pack(g, packed, part, part + 1); });
}

// Copies a weight into the layout that the kernel reads in products of many rows.
constinit const Op pack_op{
    .name = "pack",
    .shape = [](ShapeContext& c) { return Shape{c.attributes<PackAttributes>().size}; },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() { pack_forward_of<T>(c); });
                },
            .strided_inputs = true}};

/// Returns a packed copy of the weight from its third use on, else an empty Var. A product reads
/// its weight as whole vectors of adjacent outputs and copies a weight in any other layout. A
/// weight that is used repeatedly (at every step of a sequence) is copied once for all uses.
Var packed_weight(const Shape& x, const Var& weight) {
  Graph& graph = weight.graph();
  const Value& value = graph.values[weight.id()];
  if (value.shape.rank() != 2) return {};
  const int64_t out = value.shape[0], in = value.shape[1];
  constexpr uint32_t often = 2;  // up to this the note counts uses; above it, it names the copy
  uint32_t& note = graph.memo(pack_op, weight.id());
  if (note < often) {
    ++note;
    return {};
  }
  const int64_t rows = in > 0 ? x.size() / in : 0;
  const int64_t size =
      by_float_type(value.dtype, [&]<class T>() { return packed_size<T>(rows, in, out); });
  if (size == 0) return {};
  if (note > often) return {graph, ValueId{note - often - 1}};
  const Var copy = record(pack_op, {weight}, PackAttributes{size});
  graph.memo(pack_op, weight.id()) = index(copy.id()) + often + 1;
  return copy;
}

// The derivatives of gelu and silu need the activation's input. As a separate instruction after the
// product, the activation costs one pass over memory, which it shares with subsequent operators
// (dropout). Inside the product, the backward pass would need another whole product to recompute
// its input.
Var linear_of(const Arg& x, const Arg& weight, const Arg* bias, Activation activation) {
  Recycled<Arg> inputs;
  inputs.reserve(4);
  inputs.push_back(x);
  inputs.push_back(weight);
  if (bias != nullptr) inputs.push_back(*bias);
  Var copy;
  if (Graph* graph = x.graph()) {
    const Var w = weight.on(*graph, x.dtype());
    copy = packed_weight(as_var(x).shape(), w);
    inputs[1] = Arg(w, weight.where);
    if (!copy.is_empty()) inputs.emplace_back(copy, weight.where);
  }
  const bool inside = known_by_value(activation);
  const Var y = record(linear_op, inputs,
                       LinearAttributes{.activation = inside ? static_cast<int64_t>(activation) : 0,
                                        .bias = bias != nullptr ? 1 : 0,
                                        .packed = copy.is_empty() ? 0 : 1});
  return inside ? y : activated(y, activation);
}

}  // namespace

Var linear(const Arg& x, const Arg& weight, const Arg& bias, Activation activation) {
  if (bias.is_empty()) return linear(x, weight, activation);
  // The kernel does not support strides of the bias.
  Graph* graph = bias.graph();
  const Arg dense = graph == nullptr ? bias : Arg(graph->contiguous(as_var(bias)), bias.where);
  return linear_of(x, weight, &dense, activation);
}

Var linear(const Arg& x, const Arg& weight, Activation activation) {
  return linear_of(x, weight, nullptr, activation);
}

}  // namespace v0
}  // namespace rapt
