#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <rapt/framework/error.hpp>
#include <rapt/framework/parallel.hpp>
#include <rapt/framework/recycled.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/attention.hpp>
#include <rapt/ops/dropout.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/grad.hpp>
#include <rapt/ops/kernels/attention.hpp>
#include <rapt/ops/matmul.hpp>
#include <rapt/ops/row_split.hpp>
#include <rapt/ops/shape.hpp>
#include <rapt/ops/softmax.hpp>
#include <rapt/ops/strided.hpp>
#include <vector>

namespace rapt {
namespace {

using kernels::AttentionPlan;
using kernels::Heads;
using kernels::Pairs;

/// Which of the optional inputs there are; they stand behind the others in this order, the key of
/// dropout last.
struct AttentionAttributes {
  double scale;  // 0: 1 / sqrt(D)
  double dropout;
  int64_t causal;
  int64_t bias;
  int64_t lengths;
  int64_t keep;
  int64_t grad_bias;  // of the backward operator alone: whether its last output is wanted
};

/// The places of the optional inputs; -1: not there.
struct Optional {
  int bias = -1, lengths = -1, keep = -1, key = -1;

  Optional(const AttentionAttributes& a, int required) {
    if (a.bias != 0) bias = required++;
    if (a.lengths != 0) lengths = required++;
    if (a.keep != 0) keep = required++;
    if (a.dropout > 0) key = required++;
  }
};

constexpr int weights_inputs = 2;   // q, k
constexpr int forward_inputs = 3;   // and v
constexpr int backward_inputs = 6;  // and the output, its lse and its gradient

double scale_of(const AttentionAttributes& a, int64_t depth) {
  if (a.scale != 0) return a.scale;
  return 1 / std::sqrt(static_cast<double>(std::max<int64_t>(depth, 1)));
}

// ---- the kernels' view --------------------------------------------------------------------------

/// [B, H, T, n].
template <class T>
Heads<T> heads(const TensorView& x) {
  return {x.as<T>(), x.strides[0], x.strides[1], x.strides[2]};
}

/// [B, T, H, n]: how results lie, so that merging heads is a view.
template <class T>
Heads<T> heads_inside(const TensorView& x) {
  return {x.as<T>(), x.strides[0], x.strides[2], x.strides[1]};
}

/// An array that broadcasts to [B, H, Tq, Tk].
template <class T>
Pairs<T> pairs(const TensorView& x) {
  const auto stride = [&](int axis) {
    return x.shape[axis] == 1 ? 0 : x.strides[static_cast<size_t>(axis)];
  };
  return {x.as<T>(), stride(0), stride(1), stride(2), stride(3)};
}

template <class T>
kernels::Attention<T> attention_of(const ForwardContext& c, int required) {
  const auto attributes = c.attributes<AttentionAttributes>();
  const Optional optional(attributes, required);
  const Shape &q = c.input(0).shape, &k = c.input(1).shape;
  kernels::Attention<T> in;
  in.batch = q[0];
  in.query_heads = q[1];
  in.key_heads = k[1];
  in.queries = q[2];
  in.keys = k[2];
  in.depth = q[3];
  in.q = heads<const T>(c.input(0));
  in.k = heads<const T>(c.input(1));
  if (required > weights_inputs) {
    in.value_depth = c.input(2).shape[3];
    in.v = heads<const T>(c.input(2));
  }
  in.scale = static_cast<T>(scale_of(attributes, in.depth));
  if (attributes.causal != 0) in.band_last = in.keys - in.queries;
  if (optional.bias >= 0) in.bias = pairs<const T>(c.input(optional.bias));
  if (optional.lengths >= 0) in.key_lengths = c.input(optional.lengths).as<const int32_t>();
  if (optional.keep >= 0) in.keep = pairs<const uint8_t>(c.input(optional.keep));
  if (optional.key >= 0) {
    in.dropout = attributes.dropout;
    uint64_t key[2] = {};
    const void* data = c.input(optional.key).data;
    if (data != nullptr) std::memcpy(key, data, sizeof key);  // null in a scratch rule
    in.key0 = key[0];
    in.key1 = key[1];
  }
  return in;
}

template <class T>
const kernels::AttentionKernels<T>& forward_kernels() {
  return kernels::kernels<kernels::AttentionTable>().of<T>();
}

template <class T>
const kernels::AttentionBackwardKernels<T>& backward_kernels() {
  return kernels::kernels<kernels::AttentionBackwardTable>().of<T>();
}

void* scratch_of(const AttentionPlan& plan) {
  return worker_scratch(static_cast<int64_t>(plan.scratch_bytes));
}

template <class T>
void run_forward(const ForwardContext& c, const kernels::AttentionForward<T>& pass,
                 const AttentionPlan& plan) {
  c.parallel(plan.tasks, [&](int64_t task) {
    forward_kernels<T>().forward(pass, plan, scratch_of(plan), task);
  });
}

/// Operations of so many products of all queries with all keys.
double products_flops(const ForwardContext& c, double depths) {
  const Shape &q = c.input(0).shape, &k = c.input(1).shape;
  const double all = 2.0 * static_cast<double>(q[0] * q[1] * q[2]) * static_cast<double>(k[2]);
  const bool causal = c.attributes<AttentionAttributes>().causal != 0;
  return all * depths * (causal ? 0.5 : 1);
}

double depth_of(const ForwardContext& c, int input) {
  return static_cast<double>(c.input(input).shape[3]);
}

// ---- in plain operators -------------------------------------------------------------------------

/// [B, Hk, T, n] -> [B, Hk group, T, n].
Var repeat_heads(const Var& x, int64_t group) {
  if (group == 1) return x;
  const Shape s = x.shape();
  return reshape(broadcast_to(unsqueeze(x, 2), {s[0], s[1], group, s[2], s[3]}),
                 {s[0], s[1] * group, s[2], s[3]});
}

int64_t group_of(const Var& q, const Var& k) { return k.size(1) == 0 ? 1 : q.size(1) / k.size(1); }

Var plain_weights(const ReferenceContext& c, int required, const Var& q, const Var& k,
                  const Var& bias) {
  const auto attributes = c.attributes<AttentionAttributes>();
  const Optional optional(attributes, required);
  const double scale = scale_of(attributes, q.size(3));
  Var scores = matmul(q, transpose(repeat_heads(k, group_of(q, k)))) * scale;  // [B, Hq, Tq, Tk]
  if (bias) scores = scores + bias;
  Mask mask{.causal = attributes.causal != 0};
  if (optional.lengths >= 0) mask.key_lengths = c.input(optional.lengths);
  if (optional.keep >= 0) mask.keep = c.input(optional.keep);
  if (mask.limits_nothing()) return softmax(scores);
  return softmax(scores, {.mask = as_boolean(mask, q.graph(), q.size(0), q.size(2), k.size(2))});
}

Var bias_of(const ReferenceContext& c, int required) {
  const Optional optional(c.attributes<AttentionAttributes>(), required);
  return optional.bias < 0 ? Var() : c.input(optional.bias);
}

/// The output, [B, Tq, Hq, Dv].
Var plain_attention(const ReferenceContext& c, int required, const Var& q, const Var& k,
                    const Var& v, const Var& bias) {
  const auto attributes = c.attributes<AttentionAttributes>();
  const Optional optional(attributes, required);
  Var weights = plain_weights(c, required, q, k, bias);  // [B, Hq, Tq, Tk]
  if (optional.key >= 0) weights = dropout(weights, attributes.dropout, c.input(optional.key));
  return contiguous(transpose(matmul(weights, repeat_heads(v, group_of(q, k))), 1, 2));
}

// ---- shapes -------------------------------------------------------------------------------------

void check_float(ShapeContext& c, int i) {
  if (c.dtype(i) != c.dtype(0) || !is_float(c.dtype(i))) {
    c.fail(fmt::format("expected operands of one float type, got {} and {}", name(c.dtype(0)),
                       name(c.dtype(i))));
  }
}

/// Fails unless input i broadcasts to [B, Hq, Tq, Tk].
void check_pairs(ShapeContext& c, int i, std::string_view what) {
  const Shape &q = c.input(0), &k = c.input(1), &x = c.input(i);
  const Shape all{q[0], q[1], q[2], k[2]};
  Shape both;
  if (x.rank() != 4 || !broadcast(x, all, both) || both != all) {
    c.fail(fmt::format("the {} {} does not broadcast to scores {}", what, to_string(x),
                       to_string(all)));
  }
}

void check_inputs(ShapeContext& c, int required) {
  const Shape &q = c.input(0), &k = c.input(1);
  for (int i = 0; i < std::min(required, forward_inputs); ++i) check_float(c, i);
  if (q.rank() != 4 || k.rank() != 4 || q[0] != k[0] || q[3] != k[3]) {
    c.fail(fmt::format("expected queries [B, Hq, Tq, D] and keys [B, Hk, Tk, D], got {} and {}",
                       to_string(q), to_string(k)));
  }
  if (k[1] == 0 ? q[1] != 0 : q[1] % k[1] != 0) {
    c.fail(fmt::format("{} query heads cannot share {} heads of keys evenly, of {} and {}", q[1],
                       k[1], to_string(q), to_string(k)));
  }
  if (required > weights_inputs) {
    const Shape& v = c.input(2);
    if (v.rank() != 4 || v[0] != k[0] || v[1] != k[1] || v[2] != k[2]) {
      c.fail(fmt::format("expected keys [B, Hk, Tk, D] and values [B, Hk, Tk, Dv], got {} and {}",
                         to_string(k), to_string(v)));
    }
  }
  const Optional optional(c.attributes<AttentionAttributes>(), required);
  if (optional.bias >= 0) {
    check_float(c, optional.bias);
    check_pairs(c, optional.bias, "bias");
  }
  if (optional.lengths >= 0 && c.input(optional.lengths) != Shape{q[0]}) {
    c.fail(fmt::format("expected lengths [B], got {} for keys {}",
                       to_string(c.input(optional.lengths)), to_string(k)));
  }
  if (optional.keep >= 0) check_pairs(c, optional.keep, "mask");
}

// ---- backward -----------------------------------------------------------------------------------

template <class T>
kernels::AttentionBackward<T> backward_of(const ForwardContext& c) {
  kernels::AttentionBackward<T> pass;
  pass.in = attention_of<T>(c, backward_inputs);
  pass.out = heads_inside<const T>(c.input(3));
  pass.lse = c.input(4).as<const T>();
  pass.grad_out = heads_inside<const T>(c.input(5));
  pass.grad_q = heads_inside<T>(c.output(0));
  pass.grad_k = heads_inside<T>(c.output(1));
  pass.grad_v = heads_inside<T>(c.output(2));
  if (c.outputs() > 3) pass.grad_bias = pairs<T>(c.output(3));
  return pass;
}

template <class T>
void attention_backward(const ForwardContext& c) {
  const kernels::AttentionBackward<T> pass = backward_of<T>(c);
  const auto& kernel = backward_kernels<T>();
  const AttentionPlan plan = kernel.plan(pass);
  void* workspace = c.scratch();
  c.parallel(plan.tasks + plan.bias_tasks, [&](int64_t task) {
    if (task < plan.tasks) {
      kernel.run(pass, plan, workspace, scratch_of(plan), task);
    } else {
      kernel.bias(pass, plan, scratch_of(plan), task - plan.tasks);
    }
  });
  c.parallel(plan.combine_tasks,
             [&](int64_t task) { kernel.combine(pass, plan, workspace, task); });
}

// Inputs: q, k, v, the output [B, Tq, Hq, Dv], its lse [B, Hq, Tq], the output's gradient, and
// where they are there bias, lengths, keep, key. Outputs: the gradients of q, k and v, as
// [B, T, H, n], and where it is wanted of the bias.
const Op attention_grad_op{
    .name = "attention_grad",
    .shape =
        [](ShapeContext& c) {
          const auto attributes = c.attributes<AttentionAttributes>();
          const DType dtype = c.dtype();
          for (int i = 0; i < forward_inputs; ++i) {
            const Shape s = c.input(i);
            c.output({s[0], s[2], s[1], s[3]}, dtype);
          }
          const Optional optional(attributes, backward_inputs);
          if (attributes.grad_bias != 0) c.output(Shape(c.input(optional.bias)), dtype);
        },
    .forward =
        [](const ForwardContext& c) {
          by_float_type(c.output().dtype, [&]<class T>() { attention_backward<T>(c); });
        },
    .reference =
        [](ReferenceContext& c) {
          // The output and its lse follow from the rest: a second derivative takes them from there.
          // One Var given twice counts as two operands.
          Var bias = bias_of(c, backward_inputs);
          if (bias) bias = alias(bias);
          const Var q = alias(c.input(0)), k = alias(c.input(1)), v = alias(c.input(2));
          std::vector<Var> wrt{q, k, v};
          const bool grad_bias = c.attributes<AttentionAttributes>().grad_bias != 0;
          if (grad_bias) wrt.push_back(bias);
          const Var y = plain_attention(c, backward_inputs, q, k, v, bias);
          const std::vector<Var> grads = vjp(std::span(&y, 1), std::span(&c.input(5), 1), wrt);
          for (int i = 0; i < forward_inputs; ++i) {
            c.output(i) = transpose(grads[static_cast<size_t>(i)], 1, 2);
          }
          if (grad_bias) c.output(3) = grads[3];
        },
    .scratch =
        [](const ForwardContext& c) {
          size_t bytes = 0;
          by_float_type(c.output().dtype, [&]<class T>() {
            bytes = backward_kernels<T>().plan(backward_of<T>(c)).workspace_bytes;
          });
          return static_cast<int64_t>(bytes);
        },
    .flops =
        [](const ForwardContext& c) {
          const double bias = c.outputs() > 3 ? depth_of(c, 0) + depth_of(c, 2) : 0;
          return products_flops(c, 3 * depth_of(c, 0) + 2 * depth_of(c, 2) + bias);
        },
    .strided = true};

// ---- forward ------------------------------------------------------------------------------------

// Inputs: q, k, v, and where they are there bias, lengths, keep, key. Outputs: [B, Tq, Hq, Dv] and
// the scores' log-sum-exp [B, Hq, Tq]. y = dropout(softmax(scale q k' + bias)) v
const Op attention_op{
    .name = "attention",
    .shape =
        [](ShapeContext& c) {
          check_inputs(c, forward_inputs);
          const Shape q = c.input(0), v = c.input(2);
          const DType dtype = c.dtype();
          c.output({q[0], q[2], q[1], v[3]}, dtype);
          c.output({q[0], q[1], q[2]}, dtype);
        },
    .forward =
        [](const ForwardContext& c) {
          by_float_type(c.output().dtype, [&]<class T>() {
            const kernels::AttentionForward<T> pass{.in = attention_of<T>(c, forward_inputs),
                                                    .out = heads_inside<T>(c.output(0)),
                                                    .lse = c.output(1).as<T>()};
            run_forward(c, pass, forward_kernels<T>().plan_forward(pass.in));
          });
        },
    .gradient =
        [](GradientContext& c) {
          auto attributes = c.attributes<AttentionAttributes>();
          const Optional optional(attributes, forward_inputs);
          attributes.grad_bias = optional.bias >= 0 && c.needs(optional.bias) ? 1 : 0;
          Recycled<Arg> inputs;
          for (int i = 0; i < forward_inputs; ++i) inputs.emplace_back(c.input(i));
          inputs.emplace_back(c.output(0));
          inputs.emplace_back(c.output(1));
          inputs.emplace_back(dense_rows(c.output_grad(0)));
          for (int i = forward_inputs; i < c.inputs(); ++i) inputs.emplace_back(c.input(i));
          const Var grads = record(attention_grad_op, inputs, attributes);
          for (int i = 0; i < forward_inputs; ++i) {
            c.input_grad(i) = transpose(grads.output(i), 1, 2);
          }
          if (attributes.grad_bias != 0) c.input_grad(optional.bias) = grads.output(3);
        },
    .reference =
        [](ReferenceContext& c) {
          c.output(0) = plain_attention(c, forward_inputs, c.input(0), c.input(1), c.input(2),
                                        bias_of(c, forward_inputs));
        },
    .flops =
        [](const ForwardContext& c) { return products_flops(c, depth_of(c, 0) + depth_of(c, 2)); },
    .strided = true,
    .makes_infinity = true};

// Inputs: q, k, and where they are there bias, lengths, keep. softmax(scale q k' + bias)
const Op attention_weights_op{
    .name = "attention_weights",
    .shape =
        [](ShapeContext& c) {
          check_inputs(c, weights_inputs);
          const Shape q = c.input(0), k = c.input(1);
          return Shape{q[0], q[1], q[2], k[2]};
        },
    .forward =
        [](const ForwardContext& c) {
          by_float_type(c.output().dtype, [&]<class T>() {
            // Without values, the forward pass gives the log-sum-exp alone.
            const kernels::AttentionForward<T> pass{.in = attention_of<T>(c, weights_inputs),
                                                    .out = {},
                                                    .lse = static_cast<T*>(c.scratch())};
            const AttentionPlan plan = forward_kernels<T>().plan_forward(pass.in);
            run_forward(c, pass, plan);
            const kernels::AttentionWeights<T> second{
                .in = pass.in, .lse = pass.lse, .weights = pairs<T>(c.output())};
            c.parallel(plan.tasks, [&](int64_t task) {
              forward_kernels<T>().weights(second, plan, scratch_of(plan), task);
            });
          });
        },
    .reference =
        [](ReferenceContext& c) {
          c.output() =
              plain_weights(c, weights_inputs, c.input(0), c.input(1), bias_of(c, weights_inputs));
        },
    .scratch =
        [](const ForwardContext& c) {
          return rows_of(c.input(0).shape) * size_of(c.output().dtype);
        },
    .flops = [](const ForwardContext& c) { return products_flops(c, 2 * depth_of(c, 0)); },
    .strided = true};

/// 0, 1 ... along one of four axes.
Var numbers(Graph& graph, int axis, int64_t count, double first, DType dtype) {
  Shape shape{1, 1, 1, 1};
  shape[axis] = count;
  Tensor values(shape, DType::float64);
  for (double& value : values.data<double>()) value = first++;
  return graph.constant(values.to(dtype), SourceLocation::current());
}

/// Attention in plain operators: without values the weights, before dropout.
Var composed(const Var& q, const Var& k, const Var& v, const AttentionOptions& options,
             double dropped) {
  const int64_t queries = q.size(2), keys = k.size(2);
  const double scale = options.scale != 0
                           ? options.scale
                           : 1 / std::sqrt(static_cast<double>(std::max<int64_t>(q.size(3), 1)));
  Var scores = matmul(q, transpose(repeat_heads(k, group_of(q, k)))) * scale;  // [B, Hq, Tq, Tk]
  if (options.score) {
    Graph& graph = q.graph();
    const DType dtype = q.dtype();
    scores = options.score(
        {.value = scores,
         .batch = numbers(graph, 0, q.size(0), 0, dtype),
         .head = numbers(graph, 1, q.size(1), 0, dtype),
         .query = numbers(graph, 2, queries, static_cast<double>(keys - queries), dtype),
         .key = numbers(graph, 3, keys, 0, dtype)});
  }
  Mask mask = options.mask;
  if (options.bias) mask = mask & additive(options.bias);
  Var weights = softmax(masked(scores, mask));
  if (!v) return weights;
  if (dropped > 0) weights = dropout(weights, dropped);
  return matmul(weights, repeat_heads(v, group_of(q, k)));
}

/// Whether the fused kernels know all of it.
bool is_fused(const AttentionOptions& options) {
  const Mask& mask = options.mask;
  return !options.score && mask.window < 0 && !mask.prefix && !mask.query_documents && !mask.bias;
}

Var record_attention(const Op& op, std::initializer_list<const Arg*> operands,
                     const AttentionOptions& options, double dropout) {
  const SourceLocation where = (*operands.begin())->where;
  Recycled<Arg> inputs;
  for (const Arg* operand : operands) {
    inputs.emplace_back(dense_rows(as_var(*operand)), operand->where);
  }
  AttentionAttributes attributes{options.scale, dropout, options.mask.causal ? 1 : 0, 0, 0, 0, 0};
  if (options.bias) {
    attributes.bias = 1;
    Var bias = options.bias;
    while (bias.rank() < 4) bias = unsqueeze(bias, 0);
    inputs.emplace_back(bias, where);
  }
  if (options.mask.key_lengths) {
    attributes.lengths = 1;
    inputs.emplace_back(contiguous(options.mask.key_lengths), where);
  }
  if (options.mask.keep) {
    attributes.keep = 1;
    inputs.emplace_back(options.mask.keep, where);
  }
  if (dropout > 0) inputs.emplace_back(as_var(inputs[0]).graph().key(where), where);
  return record(op, inputs, attributes);
}

}  // namespace

Var attention(const Arg& q, const Arg& k, const Arg& v, const AttentionOptions& options) {
  const double p = options.dropout;
  if (!(p >= 0 && p <= 1)) {
    throw Error(fmt::format("attention: the dropout has to be in [0, 1], it is {}; at {}", p,
                            to_string(q.where)));
  }
  const Var query = as_var(q);
  const bool drops = query.graph().training.has_value();
  const Arg first(query, q.where);
  if (!is_fused(options)) {
    return composed(query, as_var(k), as_var(v), options, drops ? p : 0);
  }
  const Var y = record_attention(attention_op, {&first, &k, &v}, options, drops ? p : 0);
  return transpose(Arg(y, q.where), 1, 2);
}

Var attention_weights(const Arg& q, const Arg& k, const AttentionOptions& options) {
  if (!is_fused(options)) return composed(as_var(q), as_var(k), Var(), options, 0);
  return record_attention(attention_weights_op, {&q, &k}, options, 0);
}

}  // namespace rapt
