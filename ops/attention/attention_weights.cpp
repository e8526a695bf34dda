#include "ops/attention/attention_weights.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/graph/scope.hpp"
#include "ops/attention/attention_operands.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using kernels::AttentionPlan;

/// Attributes that select what is computed from the weights of all heads.
struct Look {
  int64_t average;
  int64_t head;  // -1: all
  int64_t top;
};

/// Returns these attributes, which follow those of the attention.
Look look_of(std::span<const int64_t> words) {
  return attributes_of<Look>(words.last(sizeof(Look) / 8));
}

Var bias_of(const ReferenceContext& c) {
  const AttentionOptional optional(attention_attributes(c.words()), weights_inputs);
  return optional.bias < 0 ? Var() : c.input(optional.bias);
}

Var weights_of(const ReferenceContext& c) {
  return plain_weights(c, weights_inputs, c.input(0), c.input(1), bias_of(c),
                       captured_of(c, weights_inputs));
}

/// Runs the forward pass without values, which computes only the normalisers, into the step's
/// scratch memory.
template <class T>
kernels::Normalisers<const T> find_rows(const ForwardContext& c, const kernels::Attention<T>& in) {
  auto* memory = static_cast<T*>(c.scratch());
  const kernels::Normalisers<T> rows{memory, memory + rows_of(c.input(0).shape)};
  const kernels::AttentionForward<T> pass{.in = in, .out = {}, .rows = rows};
  run_attention(c, pass, attention_kernels<T>().plan_forward(in));
  return {rows.largest, rows.log_sum};
}

int64_t rows_bytes(const ForwardContext& c) {
  return 2 * rows_of(c.input(0).shape) * size_of(c.output().dtype);
}

template <class T>
void run_weights(const ForwardContext& c) {
  const AttentionOperands<T> operands(c, weights_inputs);
  const Look look = look_of(c.words());
  kernels::AttentionWeights<T> pass;
  pass.in = operands.in;
  pass.rows = find_rows<T>(c, operands.in);
  const TensorView& y = c.output();
  if (y.shape.rank() == 4) {
    pass.weights = pairs<T>(y);
    // pairs() sets the stride of a single head to 0, which would mean a sum over heads.
    pass.weights.head = y.strides[1];
    pass.heads = operands.in.query_heads;
  } else {
    pass.weights = {y.as<T>(), y.strides[0], 0, y.strides[1], 1};
    pass.first_head = std::max<int64_t>(look.head, 0);
    pass.heads = look.average != 0 ? operands.in.query_heads : 1;
    pass.factor = T(1) / static_cast<T>(pass.heads);
  }
  pass.weights.key = 1;
  const AttentionPlan plan = attention_kernels<T>().plan_weights(pass);
  c.parallel(plan.tasks, [&](int64_t task) {
    attention_kernels<T>().weights(pass, plan, scratch_of(plan), task);
  });
}

// Computes y = softmax(score(scale q k') + bias) for all heads, for one head, or as the mean over
// heads. Inputs: q, k, and the optional ones.
constinit const Op attention_weights_op{
    .name = "attention_weights",
    .shape =
        [](ShapeContext& c) {
          check_attention(c, weights_inputs);
          const Shape q = c.input(0), k = c.input(1);
          const Look look = look_of(c.words());
          if (look.head < -1 || look.head >= q[1]) {
            c.fail(fmt::format("there is no head {} of {}", look.head, q[1]), ErrorKind::usage);
          }
          if (look.average == 0 && look.head < 0) return Shape{q[0], q[1], q[2], k[2]};
          if (look.average != 0 && (look.head >= 0 || q[1] == 0)) {
            c.fail(look.head >= 0 ? "one head and the average of all are both asked for"
                                  : "there is no head to average",
                   ErrorKind::usage);
          }
          return Shape{q[0], q[2], k[2]};
        },
    .reference =
        [](ReferenceContext& c) {
          const Var weights = weights_of(c);
          const Look look = look_of(c.words());
          c.output() = look.average != 0 ? mean(weights, 1)
                       : look.head >= 0  ? contiguous(select(weights, 1, look.head))
                                         : weights;
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() { run_weights<T>(c); });
                },
            .scratch = rows_bytes,
            .flops = [](const ForwardContext& c) { return attention_flops(c, 2 * depth_of(c, 0)); },
            .strided_inputs = true}};

template <class T>
void run_statistics(const ForwardContext& c) {
  const AttentionOperands<T> operands(c, weights_inputs);
  const kernels::AttentionStatistics<T> pass{.in = operands.in,
                                             .rows = find_rows<T>(c, operands.in),
                                             .entropy = c.output(0).as<T>(),
                                             .largest = c.output(1).as<T>(),
                                             .top = look_of(c.words()).top,
                                             .values = c.output(2).as<T>(),
                                             .keys = c.output(3).as<int32_t>()};
  const AttentionPlan plan = attention_kernels<T>().plan_forward(pass.in);
  c.parallel(plan.tasks, [&](int64_t task) {
    attention_kernels<T>().statistics(pass, plan, scratch_of(plan), task);
  });
}

// Computes statistics of the rows of the weights. Inputs: q, k, and the optional ones. Outputs: the
// entropy, the largest weight, the `top` largest weights, and their keys.
constinit const Op attention_statistics_op{
    .name = "attention_statistics",
    .shape =
        [](ShapeContext& c) {
          check_attention(c, weights_inputs);
          const Shape q = c.input(0);
          const DType dtype = c.dtype();
          const int64_t top = look_of(c.words()).top;
          c.output({q[0], q[1], q[2]}, dtype);
          c.output({q[0], q[1], q[2]}, dtype);
          c.output({q[0], q[1], q[2], top}, dtype);
          c.output({q[0], q[1], q[2], top}, DType::int32);
        },
    .reference =
        [](ReferenceContext& c) {
          const Var w = weights_of(c);  // [B, Hq, Tq, Tk]
          const Var some = w > 0;
          c.output(0) = -sum(where(some, w * log(where(some, w, 1)), 0), -1);
          c.output(1) = w.size(3) == 0 ? sum(w, -1) : max(w, -1);
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() { run_statistics<T>(c); });
                },
            .scratch = rows_bytes,
            .flops = [](const ForwardContext& c) { return attention_flops(c, 2 * depth_of(c, 0)); },
            .strided_inputs = true}};

}  // namespace

Var attention_weights(const Arg& q, const Arg& k, const AttentionOptions& options,
                      const WeightsOptions& which) {
  const Look look{which.average ? 1 : 0, which.head, 0};
  return record_attention(attention_weights_op, {&q, &k}, options, 0, words_of(look));
}

AttentionStatistics attention_statistics(const Arg& q, const Arg& k,
                                         const AttentionOptions& options,
                                         const StatisticsOptions& which) {
  if (which.top < 0) {
    throw Error(
        {.op = "attention_statistics",
         .detail = fmt::format("expected 0 or more of the largest weights, got {}", which.top),
         .place = place_of(q.where)});
  }
  const Look look{0, -1, which.top};
  const Var y = record_attention(attention_statistics_op, {&q, &k}, options, 0, words_of(look));
  return {y, y.output(1), y.output(2), y.output(3)};
}

}  // namespace v0
}  // namespace rapt
