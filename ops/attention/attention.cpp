#include "ops/attention/attention.hpp"

#include <fmt/format.h>

#include <vector>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "ops/attention/attention_operands.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/dropout.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using kernels::AttentionPlan;
using kernels::ScoreGradient;

template <class T>
const kernels::AttentionBackwardKernels<T>& backward_kernels() {
  return kernels::kernels_for<kernels::AttentionBackwardTable, T>();
}

Var bias_of(const ReferenceContext& c, int required) {
  const AttentionOptional optional(attention_attributes(c.words()), required);
  return optional.bias < 0 ? Var() : c.input(optional.bias);
}

/// Computes the output in plain operators, [B, Tq, Hq, Dv].
Var plain_attention(const ReferenceContext& c, int required, const Var& q, const Var& k,
                    const Var& v, const Var& bias, std::span<const Var> captured) {
  const AttentionAttributes attributes = attention_attributes(c.words());
  const AttentionOptional optional(attributes, required);
  Var weights = plain_weights(c, required, q, k, bias, captured);  // [B, Hq, Tq, Tk]
  if (optional.key >= 0) weights = dropout(weights, attributes.dropout, c.input(optional.key));
  return contiguous(transpose(matmul(weights, repeat_heads(v, group_of(q, k))), 1, 2));
}

// ---- backward -----------------------------------------------------------------------------------

/// Calls f(i, output) for each captured array whose gradient the backward operator computes, in
/// ascending order. These are the arrays that the text of the derivative names.
template <class F>
void for_captured_grads(std::span<const int64_t> words, const F& f) {
  const AttentionAttributes attributes = attention_attributes(words);
  if (attributes.derivative == 0) return;
  const ScoreReader derivative(derivative_text(words));
  const auto outputs = derivative.outputs();
  int output = forward_inputs + (attributes.grad_bias != 0 ? 1 : 0);
  for (int64_t i = 0; i < attributes.captured; ++i) {
    bool wanted = false;
    for (size_t at = 2; at < outputs.size(); at += 2) {
      wanted = wanted || derivative.step(outputs[at]).inputs[0] == i;
    }
    if (wanted) f(i, output++);
  }
}

/// Kernel operands of a backward step.
template <class T>
struct BackwardOperands : AttentionOperands<T> {
  kernels::AttentionBackward<T> pass;
  Recycled<ScoreGradient<T>> captured;

  explicit BackwardOperands(const ForwardContext& c) : AttentionOperands<T>(c, backward_inputs) {
    pass.in = this->in;
    pass.out = heads_inside<const T>(c.input(3));
    pass.rows = {c.input(4).as<const T>(), c.input(5).as<const T>()};
    pass.grad_out = heads_inside<const T>(c.input(6));
    pass.grad_q = heads_inside<T>(c.output(0));
    pass.grad_k = heads_inside<T>(c.output(1));
    pass.grad_v = heads_inside<T>(c.output(2));
    if (attention_attributes(c.words()).grad_bias != 0) pass.grad_bias = pairs<T>(c.output(3));
    for_captured_grads(c.words(), [&](int64_t i, int output) {
      const TensorView& to = c.output(output);
      captured.push_back({this->score->sums_of(i), to.size(), to.as<T>()});
    });
    pass.grad_score = captured.data();
    pass.grad_score_count = static_cast<int>(captured.size());
  }
};

template <class T>
void attention_backward(const ForwardContext& c) {
  const BackwardOperands<T> operands(c);
  const kernels::AttentionBackward<T>& pass = operands.pass;
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

// Inputs: q, k, v, the output [B, Tq, Hq, Dv], its normalisers [B, Hq, Tq], the output's gradient,
// and the optional inputs. Outputs: the gradients of q, k and v, as [B, T, H, n]; the gradient of
// the bias if wanted; and those of the arrays that the score function captured.
constinit const Op attention_grad_op{
    .name = "attention_grad",
    .shape =
        [](ShapeContext& c) {
          const AttentionAttributes attributes = attention_attributes(c.words());
          const DType dtype = c.dtype();
          for (int i = 0; i < forward_inputs; ++i) {
            const Shape s = c.input(i);
            c.output({s[0], s[2], s[1], s[3]}, dtype);
          }
          const AttentionOptional optional(attributes, backward_inputs);
          if (attributes.grad_bias != 0) c.output(Shape(c.input(optional.bias)), dtype);
          for_captured_grads(c.words(), [&](int64_t i, int) {
            c.output(Shape(c.input(optional.captured + static_cast<int>(i))), dtype);
          });
        },
    .reference =
        [](ReferenceContext& c) {
          // The output and its normalisers are functions of the other inputs. A second derivative
          // differentiates them through those. The aliases make one Var that is given twice count
          // as two operands.
          Var bias = bias_of(c, backward_inputs);
          if (!bias.is_empty()) bias = alias(bias);
          const Var q = alias(c.input(0)), k = alias(c.input(1)), v = alias(c.input(2));
          Recycled<Var> captured = captured_of(c, backward_inputs);
          for (Var& var : captured) var = alias(var);
          std::vector<Var> wrt{q, k, v};
          if (attention_attributes(c.words()).grad_bias != 0) wrt.push_back(bias);
          for_captured_grads(
              c.words(), [&](int64_t i, int) { wrt.push_back(captured[static_cast<size_t>(i)]); });
          const Var y = plain_attention(c, backward_inputs, q, k, v, bias, captured);
          const std::vector<Var> grads = vjp(std::span(&y, 1), std::span(&c.input(6), 1), wrt);
          for (size_t i = 0; i < grads.size(); ++i) {
            c.output(static_cast<int>(i)) =
                i < static_cast<size_t>(forward_inputs) ? transpose(grads[i], 1, 2) : grads[i];
          }
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() { attention_backward<T>(c); });
                },
            .scratch =
                [](const ForwardContext& c) {
                  size_t bytes = 0;
                  by_float_type(c.output().dtype, [&]<class T>() {
                    bytes = backward_kernels<T>().plan(BackwardOperands<T>(c).pass).workspace_bytes;
                  });
                  return static_cast<int64_t>(bytes);
                },
            .flops =
                [](const ForwardContext& c) {
                  const bool bias = attention_attributes(c.words()).grad_bias != 0;
                  return attention_flops(
                      c, (bias ? 4 : 3) * depth_of(c, 0) + (bias ? 3 : 2) * depth_of(c, 2));
                },
            .strided_inputs = true,
            .strided_outputs = 0b111}};

/// Records the backward operator for attention_op and assigns its outputs as gradients.
void attention_gradient(GradientContext& c) {
  AttentionAttributes attributes = attention_attributes(c.words());
  const AttentionOptional optional(attributes, forward_inputs);
  attributes.grad_bias = optional.bias >= 0 && c.needs(optional.bias) ? 1 : 0;
  Recycled<Arg> inputs;
  for (int i = 0; i < forward_inputs; ++i) inputs.emplace_back(c.input(i));
  inputs.emplace_back(c.output(0));
  for (int i = 1; i < 3; ++i) inputs.emplace_back(c.output(i));
  inputs.emplace_back(dense_rows(c.output_grad(0)));
  for (int i = forward_inputs; i < c.inputs(); ++i) inputs.emplace_back(c.input(i));
  const auto text = score_text(c.words());
  ScoreDerivative derivative;
  if (attributes.score != 0) {
    const DType dtype = c.input(0).dtype();
    derivative = differentiate_score(
        text, dtype, [&](int64_t i) { return c.needs(optional.captured + static_cast<int>(i)); });
    attributes.derivative = static_cast<int64_t>(derivative.text.size());
    attributes.numbers = static_cast<int64_t>(derivative.numbers.size());
    for (const double number : derivative.numbers) {
      inputs.emplace_back(c.input(0).graph().constant(number, dtype, SourceLocation::current()));
    }
  }
  ScoreText words;
  const auto fixed = words_of(attributes);
  words.insert(words.end(), fixed.begin(), fixed.end());
  words.insert(words.end(), text.begin(), text.end());
  words.insert(words.end(), derivative.text.begin(), derivative.text.end());
  const Var grads = record(attention_grad_op, inputs, words);
  for (int i = 0; i < forward_inputs; ++i) {
    c.input_grad(i) = transpose(grads.output(i), 1, 2);
  }
  if (attributes.grad_bias != 0) c.input_grad(optional.bias) = grads.output(forward_inputs);
  for_captured_grads(words, [&](int64_t i, int output) {
    c.input_grad(optional.captured + static_cast<int>(i)) = grads.output(output);
  });
}

// ---- forward ------------------------------------------------------------------------------------

// Computes y = dropout(softmax(score(scale q k') + bias)) v. Inputs: q, k, v, and the optional
// ones. Outputs: y as [B, Tq, Hq, Dv], then the maximum and the logarithm of the sum of each row of
// scores, [B, Hq, Tq] each (see kernels::Normalisers).
constinit const Op attention_op{
    .name = "attention",
    .shape =
        [](ShapeContext& c) {
          check_attention(c, forward_inputs);
          const Shape q = c.input(0), v = c.input(2);
          const DType dtype = c.dtype();
          c.output({q[0], q[2], q[1], v[3]}, dtype);
          for (int i = 0; i < 2; ++i) c.output({q[0], q[1], q[2]}, dtype);
        },
    .gradient = attention_gradient,
    .reference =
        [](ReferenceContext& c) {
          c.output(0) = plain_attention(c, forward_inputs, c.input(0), c.input(1), c.input(2),
                                        bias_of(c, forward_inputs), captured_of(c, forward_inputs));
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() {
                    const AttentionOperands<T> operands(c, forward_inputs);
                    const kernels::AttentionForward<T> pass{
                        .in = operands.in,
                        .out = heads_inside<T>(c.output(0)),
                        .rows = {c.output(1).as<T>(), c.output(2).as<T>()}};
                    run_attention(c, pass, attention_kernels<T>().plan_forward(pass.in));
                  });
                },
            .flops =
                [](const ForwardContext& c) {
                  return attention_flops(c, depth_of(c, 0) + depth_of(c, 2));
                },
            .strided_inputs = true}};

}  // namespace

Var attention(const Arg& q, const Arg& k, const Arg& v, const AttentionOptions& options) {
  const double p = options.dropout;
  if (!(p >= 0 && p <= 1)) {
    throw Error({.op = "attention",
                 .detail = fmt::format("the dropout has to be in [0, 1], it is {}", p),
                 .place = place_of(q.where)});
  }
  const Var query = as_var(q);
  const bool drops = query.graph().training.has_value();
  const Arg first(query, q.where);
  const Var y = record_attention(attention_op, {&first, &k, &v}, options, drops ? p : 0);
  return transpose(Arg(y, q.where), 1, 2);
}

}  // namespace v0
}  // namespace rapt
