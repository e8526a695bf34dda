#include "ops/attention/additive_attention.hpp"

#include <fmt/format.h>

#include <vector>

#include "framework/core/error.hpp"
#include "framework/core/parallel.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/attention/additive_attention.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using kernels::OfPairs;
using kernels::Sequences;

/// Flags of the optional inputs, which follow the required ones in this order.
struct AttentionAttributes {
  int64_t grad_context;  // backward operator only, also the next
  int64_t grad_weights;
  int64_t lengths;
  int64_t keep;
  int64_t bias;
  int64_t grad_bias;  // backward operator only: 1 if its last output is wanted
};

/// Indices of the optional inputs; -1 for an absent one.
struct Optional {
  int grad_context = -1, grad_weights = -1, lengths = -1, keep = -1, bias = -1;

  Optional(const AttentionAttributes& a, int required) {
    if (a.grad_context != 0) grad_context = required++;
    if (a.grad_weights != 0) grad_weights = required++;
    if (a.lengths != 0) lengths = required++;
    if (a.keep != 0) keep = required++;
    if (a.bias != 0) bias = required++;
  }
};

constexpr int forward_inputs = 4;   // query, keys, v, memory
constexpr int backward_inputs = 5;  // query, keys, v, memory, weights

template <class T>
const kernels::AdditiveAttentionKernels<T>& attention_kernels() {
  return kernels::kernels_for<kernels::AdditiveAttentionTable, T>();
}

/// Returns the strides of [B, T, n], or of [B, n] as sequences of one position.
template <class T>
Sequences<T> sequences(const TensorView& view) {
  return {view.as<T>(), view.strides[0], view.shape.rank() == 2 ? 0 : view.strides[1]};
}

template <class T>
Sequences<T> sequences_at(const ForwardContext& c, int input) {
  return input < 0 ? Sequences<T>{} : sequences<T>(c.input(input));
}

/// Returns the strides of [B, Tq, T].
template <class T>
OfPairs<T> pairs(const TensorView& view) {
  return {view.as<T>(), view.strides[0], view.strides[1], view.strides[2]};
}

template <class T>
OfPairs<T> pairs_at(const ForwardContext& c, int input) {
  return input < 0 ? OfPairs<T>{} : pairs<T>(c.input(input));
}

template <class T>
kernels::AdditiveAttention<T> attention_of(const ForwardContext& c, const Optional& optional) {
  const Shape& query = c.input(0).shape;
  return {.batch = query[0],
          .queries = query.rank() == 2 ? 1 : query[1],
          .keys = c.input(1).shape[1],
          .width = query[-1],
          .memory_width = c.input(3).shape[2],
          .query = sequences<const T>(c.input(0)),
          .key = sequences<const T>(c.input(1)),
          .v = c.input(2).as<const T>(),
          .memory = sequences<const T>(c.input(3)),
          .lengths = optional.lengths < 0 ? nullptr : c.input(optional.lengths).as<const int32_t>(),
          .keep = pairs_at<const uint8_t>(c, optional.keep),
          .bias = pairs_at<const T>(c, optional.bias)};
}

/// Returns the weights of scores [B, Tq, T] under the operator's masks.
Var weights_of(const ReferenceContext& c, const Optional& optional, const Var& scores) {
  Mask mask;
  if (optional.lengths >= 0) mask = mask & lengths(c.input(optional.lengths));
  if (optional.keep >= 0) mask = mask & keep(c.input(optional.keep));
  if (optional.bias >= 0) mask = mask & additive(unsqueeze(c.input(optional.bias), 1));
  return softmax(masked(scores, mask));
}

/// Reshapes [B, n] to [B, 1, n].
Var with_queries(const Var& x) { return x.rank() == 2 ? unsqueeze(x, 1) : x; }
Var without_queries(const Var& x, bool single) { return single ? squeeze(x, 1) : x; }

/// Computes tanh(query + key) of all pairs, [B, Tq, T, A].
Var hidden_layer(const ReferenceContext& c) {
  return tanh(unsqueeze(with_queries(c.input(0)), 2) + unsqueeze(c.input(1), 1));
}

// Inputs: query, keys, v, memory, weights. Optional inputs: gradients of context and weights,
// lengths, keep, bias. Outputs: gradients of query, keys, v, memory, and if wanted of the bias.
template <class T>
void attention_backward(const ForwardContext& c) {
  const Optional optional(c.attributes<AttentionAttributes>(), backward_inputs);
  auto* parts = static_cast<T*>(c.scratch());  // [B, A]
  const kernels::AdditiveBackward<T> task{
      .in = attention_of<T>(c, optional),
      .weights = sequences<const T>(c.input(4)),
      .grad_context = sequences_at<const T>(c, optional.grad_context),
      .grad_weights = sequences_at<const T>(c, optional.grad_weights),
      .grad_query = sequences<T>(c.output(0)),
      .grad_key = sequences<T>(c.output(1)),
      .grad_memory = sequences<T>(c.output(3)),
      .grad_v_parts = parts,
      .grad_bias =
          c.outputs() > forward_inputs ? pairs<T>(c.output(forward_inputs)) : OfPairs<T>{}};
  const auto& in = task.in;
  const int64_t work = in.queries * in.keys * (4 * in.width + 2 * in.memory_width);
  over_ranges(c, in.batch, work, [&](int64_t begin, int64_t end) {
    auto* scratch = static_cast<T*>(worker_scratch(in.keys * static_cast<int64_t>(sizeof(T))));
    attention_kernels<T>().backward(task, begin, end, scratch);
  });
  over_ranges(c, in.width, in.batch, [&](int64_t begin, int64_t end) {
    attention_kernels<T>().sum_parts(parts, in.batch, in.width, c.output(2).as<T>(), false, begin,
                                     end);
  });
}

// Formulas: u = tanh(q + k), s = u . v, w = softmax(s), context = w memory. Gradients: dw =
// g_context memory' + g_weights, ds = w (dw - sum(w dw)), du = ds v (1 - u^2).
void attention_grad_reference(ReferenceContext& c) {
  const Optional optional(c.attributes<AttentionAttributes>(), backward_inputs);
  const bool single = c.input(0).rank() == 2;
  const Var &v = c.input(2), &memory = c.input(3);
  const Var u = hidden_layer(c);           // [B, Tq, T, A]
  const Var w = with_queries(c.input(4));  // [B, Tq, T]
  Var dw, grad_memory;
  if (optional.grad_weights >= 0) dw = with_queries(c.input(optional.grad_weights));
  if (optional.grad_context >= 0) {
    const Var g = with_queries(c.input(optional.grad_context));  // [B, Tq, M]
    const Var through_context = matmul(g, transpose(memory));
    dw = dw.is_empty() ? through_context : dw + through_context;
    grad_memory = matmul(transpose(w), g);
  }
  const Var ds_of_pairs = w * (dw - sum(w * dw, -1, true));  // [B, Tq, T]
  const Var ds = unsqueeze(ds_of_pairs, 3);
  const Var du = ds * v * (1 - u * u);  // [B, Tq, T, A]
  c.output(0) = without_queries(sum(du, 2), single);
  c.output(1) = sum(du, 1);
  c.output(2) = sum(ds * u, {0, 1, 2});
  c.output(3) = grad_memory.is_empty() ? memory * 0 : grad_memory;
  if (c.attributes<AttentionAttributes>().grad_bias != 0) c.output(4) = ds_of_pairs;
}

constinit const Op additive_attention_grad_op{
    .name = "additive_attention_grad",
    .shape =
        [](ShapeContext& c) {
          for (int i = 0; i < forward_inputs; ++i) c.output(c.input(i), c.dtype());
          const auto attributes = c.attributes<AttentionAttributes>();
          const Optional optional(attributes, backward_inputs);
          if (attributes.grad_bias != 0) c.output(c.input(optional.bias), c.dtype());
        },
    .reference = attention_grad_reference,
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() { attention_backward<T>(c); });
                },
            .scratch =
                [](const ForwardContext& c) {
                  const Shape& query = c.input(0).shape;
                  return query[0] * query[-1] * size_of(c.output().dtype);
                },
            .strided_inputs = true}};

void attention_shape(ShapeContext& c) {
  const Shape &query = c.input(0), &keys = c.input(1), &v = c.input(2), &memory = c.input(3);
  c.one_float_type(forward_inputs);
  if ((query.rank() != 2 && query.rank() != 3) || keys.rank() != 3 || keys[0] != query[0] ||
      keys[2] != query[-1] || v != Shape{query[-1]}) {
    c.fail(
        fmt::format("expected query [B, A] or [B, Tq, A], keys [B, T, A] and v [A], got {}, {} "
                    "and {}",
                    to_string(query), to_string(keys), to_string(v)));
  }
  if (memory.rank() != 3 || memory[0] != keys[0] || memory[1] != keys[1]) {
    c.fail(fmt::format("expected keys [B, T, A] and memory [B, T, M], got {} and {}",
                       to_string(keys), to_string(memory)));
  }
  const Optional optional(c.attributes<AttentionAttributes>(), forward_inputs);
  if (optional.lengths >= 0 && c.input(optional.lengths) != Shape{query[0]}) {
    c.fail(fmt::format("expected lengths [B], got {} for keys {}",
                       to_string(c.input(optional.lengths)), to_string(keys)));
  }
  if (optional.bias >= 0 && c.dtype(optional.bias) != c.dtype(0)) {
    c.fail(fmt::format("expected a mask's bias of {}, got {}", name(c.dtype(0)),
                       name(c.dtype(optional.bias))),
           ErrorKind::type);
  }
  Shape context = query, weights = query;
  context[-1] = memory[2];
  weights[-1] = keys[1];
  c.output(context, c.dtype());
  c.output(weights, c.dtype());
}

template <class T>
void attention_forward(const ForwardContext& c) {
  const Optional optional(c.attributes<AttentionAttributes>(), forward_inputs);
  const kernels::AdditiveForward<T> task{.in = attention_of<T>(c, optional),
                                         .weights = sequences<T>(c.output(1)),
                                         .context = sequences<T>(c.output(0))};
  const auto& in = task.in;
  over_ranges(
      c, in.batch * in.queries, in.keys * (2 * in.width + in.memory_width),
      [&](int64_t begin, int64_t end) { attention_kernels<T>().forward(task, begin, end); });
}

// Computes context = softmax(v . tanh(query + key) + bias) memory. Inputs: query, keys, v, memory,
// and optionally lengths, keep and bias [B, Tq, T]. Outputs: context, weights.
constinit const Op additive_attention_op{
    .name = "additive_attention",
    .shape = attention_shape,
    .gradient =
        [](GradientContext& c) {
          auto attributes = c.attributes<AttentionAttributes>();
          const Optional optional(attributes, forward_inputs);
          attributes.grad_context = c.has_output_grad(0) ? 1 : 0;
          attributes.grad_weights = c.has_output_grad(1) ? 1 : 0;
          attributes.grad_bias = optional.bias >= 0 && c.needs(optional.bias) ? 1 : 0;
          Recycled<Arg> inputs;
          for (int i = 0; i < forward_inputs; ++i) inputs.emplace_back(c.input(i));
          inputs.emplace_back(c.output(1));
          if (c.has_output_grad(0)) inputs.emplace_back(dense_rows(c.output_grad(0)));
          if (c.has_output_grad(1)) inputs.emplace_back(dense_rows(c.output_grad(1)));
          for (int i = forward_inputs; i < c.inputs(); ++i) inputs.emplace_back(c.input(i));
          const Var grads = record(additive_attention_grad_op, inputs, attributes);
          for (int i = 0; i < forward_inputs; ++i) c.input_grad(i) = grads.output(i);
          if (attributes.grad_bias != 0) c.input_grad(optional.bias) = grads.output(forward_inputs);
        },
    .reference =
        [](ReferenceContext& c) {
          const Optional optional(c.attributes<AttentionAttributes>(), forward_inputs);
          const bool single = c.input(0).rank() == 2;
          const Var scores = sum(hidden_layer(c) * c.input(2), -1);  // [B, Tq, T]
          const Var weights = weights_of(c, optional, scores);
          c.output(0) = without_queries(matmul(weights, c.input(3)), single);
          c.output(1) = without_queries(weights, single);
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  const Optional optional(c.attributes<AttentionAttributes>(), forward_inputs);
                  if (optional.lengths >= 0)
                    check_lengths(c.input(optional.lengths), c.input(1).shape[1]);
                  by_float_type(c.output().dtype, [&]<class T>() { attention_forward<T>(c); });
                },
            .strided_inputs = true}};

/// Broadcasts an array to [B, 1, Tq, T] and returns it as a view [B, Tq, T].
Var of_pairs(const Var& x, const Shape& all, SourceLocation where) {
  Shape both;
  if (!broadcast(x.shape(), all, both) || both != all) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "additive_attention",
                 .detail = fmt::format("expected a mask [B, T] of keys, or [B, Tq, T], for {} "
                                       "sentences, {} queries and {} keys, got {}",
                                       all[0], all[2], all[3], to_string(x.shape())),
                 .place = place_of(where)});
  }
  return squeeze(broadcast_to(x, all), 1);
}

}  // namespace

Var additive_attention(const Arg& query, const Arg& keys, const Arg& v, const Arg& memory,
                       const Mask& mask) {
  Recycled<Arg> inputs;
  for (const Arg* operand : {&query, &keys, &v, &memory}) {
    const Var var = as_var(*operand);
    inputs.emplace_back(var.rank() == 0 ? var : dense_rows(var), operand->where);
  }
  AttentionAttributes attributes{};
  const Var q = as_var(inputs[0]), key = as_var(inputs[1]);
  const bool sized = (q.rank() == 2 || q.rank() == 3) && key.rank() == 3;
  if (!sized || mask.limits_nothing()) return record(additive_attention_op, inputs, attributes);
  const Shape all{q.size(0), 1, q.rank() == 2 ? 1 : q.size(1), key.size(1)};  // [B, 1, Tq, T]
  if (!mask.key_lengths.is_empty()) {
    attributes.lengths = 1;
    inputs.emplace_back(contiguous(mask.key_lengths), query.where);
  }
  Mask others = mask;
  others.key_lengths = others.bias = Var();
  if (!others.limits_nothing()) {
    attributes.keep = 1;
    if (!others.keep.is_empty())
      others.keep = unsqueeze(of_pairs(others.keep, all, query.where), 1);
    const Var keep = as_boolean(others, q.graph(), all[0], all[2], all[3], query.where);
    inputs.emplace_back(of_pairs(keep, all, query.where), query.where);
  }
  if (!mask.bias.is_empty()) {
    attributes.bias = 1;
    inputs.emplace_back(of_pairs(mask.bias, all, query.where), query.where);
  }
  return record(additive_attention_op, inputs, attributes);
}

}  // namespace v0
}  // namespace rapt
