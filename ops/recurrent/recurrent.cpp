#include "ops/kernels/elementwise/recurrent.hpp"

#include <fmt/format.h>

#include <limits>
#include <vector>

#include "framework/core/recycled.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/recurrent/recurrent.hpp"
#include "ops/recurrent/recurrent_formulas.hpp"
#include "ops/recurrent/recurrent_split.hpp"
#include "ops/support/axes.hpp"

namespace rapt::recurrent {

void check_lengths(const ShapeContext& c, int input, int64_t batch) {
  if (c.dtype(input) != DType::int32 || c.input(input) != Shape{batch}) {
    c.fail(fmt::format("expected lengths int32 [{}], got {} {}", batch, name(c.dtype(input)),
                       to_string(c.input(input))),
           c.dtype(input) == DType::int32 ? ErrorKind::shape : ErrorKind::type);
  }
}

}  // namespace rapt::recurrent

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using recurrent::active_rows;
using recurrent::gates_width;
using recurrent::recurrent_kernels;
using recurrent::rows;

// The optional input "lengths" comes last.
struct StepAttributes {
  int64_t step;
};

kernels::ActiveRows active_of(const ForwardContext& c, int lengths) {
  if (c.inputs() == lengths) return {};
  check_lengths(c.input(lengths), std::numeric_limits<int32_t>::max());
  return {.lengths = c.input(lengths).as<const int32_t>(),
          .step = c.attributes<StepAttributes>().step};
}

Var active_of(const ReferenceContext& c, int lengths) {
  return active_rows(c.inputs() == lengths ? Var() : c.input(lengths),
                     c.attributes<StepAttributes>().step);
}

/// Appends the lengths to the inputs of an operator unless they are empty.
Recycled<Arg> with_lengths(Recycled<Arg> inputs, const Var& lengths) {
  if (!lengths.is_empty()) inputs.emplace_back(lengths);
  return inputs;
}

Var lengths_of(const GradientContext& c, int lengths) {
  return c.inputs() == lengths ? Var() : c.input(lengths);
}

/// Checks both gates [B, parts H], the `states` arrays [B, H] after them, and the lengths [B].
void check_step(const ShapeContext& c, int64_t parts, int states) {
  const Shape& h = c.input(2);
  c.one_float_type(2 + states);
  for (int i = 0; i < 2 + states; ++i) {
    if (h.rank() != 2 || c.input(i) != Shape{h[0], i < 2 ? parts * h[1] : h[1]}) {
      c.fail(fmt::format("expected gates [B, {}H] and states [B, H], got {}, {} and {}", parts,
                         to_string(c.input(0)), to_string(c.input(1)), to_string(c.input(i))));
    }
  }
  if (c.inputs() > 2 + states) recurrent::check_lengths(c, 2 + states, h[0]);
}

// ---- GRU ----------------------------------------------------------------------------------------

// Inputs: gradient of h', h, saved [B, 4H], lengths. Outputs: gradients of gates_x, gates_h, h.
constinit const Op gru_gates_grad_op{
    .name = "gru_gates_grad",
    .shape =
        [](ShapeContext& c) {
          const Shape& h = c.input(1);
          c.output({h[0], 3 * h[1]}, c.dtype());
          c.output({h[0], 3 * h[1]}, c.dtype());
          c.output(h, c.dtype());
        },
    .reference =
        [](ReferenceContext& c) {
          const recurrent::GruStepGrad grads =
              recurrent::gru_step_grad(c.input(0), c.input(1), c.input(2), active_of(c, 3));
          c.output(0) = grads.gates_x;
          c.output(1) = grads.gates_h;
          c.output(2) = grads.h;
        },
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() {
        const kernels::GruBackward<T> step{.hidden = c.output(2).shape[1],
                                           .grad_out = rows<const T>(c.input(0)),
                                           .h = rows<const T>(c.input(1)),
                                           .saved = rows<const T>(c.input(2)),
                                           .grad_gates_x = rows<T>(c.output(0)),
                                           .grad_gates_h = rows<T>(c.output(1)),
                                           .grad_h = rows<T>(c.output(2)),
                                           .active = active_of(c, 3)};
        over_ranges(c, c.output().shape[0], gates_width * step.hidden,
                    [&](int64_t begin, int64_t end) {
                      recurrent_kernels<T>().gru_backward(step, begin, end);
                    });
      });
    }}};

void gru_gates_reference(ReferenceContext& c) {
  const recurrent::GruStep step =
      recurrent::gru_step(c.input(0), c.input(1), c.input(2), active_of(c, 3));
  c.output(0) = step.h;
  c.output(1) = step.saved;
}

// Computes r, z = sigmoid(x_rz + h_rz), n = tanh(x_n + r h_n), h' = (1 - z) n + z h. Inputs:
// gates_x, gates_h with its bias [B, 3H], h [B, H], lengths. Outputs: h' [B, H], and for the
// backward pass r, z, n, h_n [B, 4H].
constinit const Op gru_gates_op{
    .name = "gru_gates",
    .shape =
        [](ShapeContext& c) {
          check_step(c, 3, 1);
          const Shape& h = c.input(2);
          c.output(h, c.dtype());
          c.output({h[0], 4 * h[1]}, c.dtype());
        },
    .gradient =
        [](GradientContext& c) {
          if (c.has_output_grad(1)) return recurrent::through_reference(c, 2, gru_gates_reference);
          const auto inputs =
              with_lengths({c.output_grad(), c.input(2), c.output(1)}, lengths_of(c, 3));
          const Var grads = record(gru_gates_grad_op, inputs, c.words());
          for (int i = 0; i < 3; ++i) c.input_grad(i) = grads.output(i);
        },
    .reference = gru_gates_reference,
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() {
        const kernels::GruForward<T> step{.hidden = c.output().shape[1],
                                          .gates_x = rows<const T>(c.input(0)),
                                          .gates_h = rows<const T>(c.input(1)),
                                          .h = rows<const T>(c.input(2)),
                                          .h_out = rows<T>(c.output(0)),
                                          .saved = rows<T>(c.output(1)),
                                          .active = active_of(c, 3)};
        over_ranges(c, c.output().shape[0], gates_width * step.hidden,
                    [&](int64_t begin, int64_t end) {
                      recurrent_kernels<T>().gru_forward(step, begin, end);
                    });
      });
    }}};

// ---- LSTM ---------------------------------------------------------------------------------------

// Inputs: gradients of h' and c', c, c', saved [B, 4H], lengths. Outputs: gradients of the gates
// (the same for gates_x and gates_h), h, c.
constinit const Op lstm_gates_grad_op{
    .name = "lstm_gates_grad",
    .shape =
        [](ShapeContext& c) {
          const Shape& h = c.input(2);
          c.output({h[0], 4 * h[1]}, c.dtype());
          c.output(h, c.dtype());
          c.output(h, c.dtype());
        },
    .reference =
        [](ReferenceContext& c) {
          const recurrent::LstmStepGrad grads = recurrent::lstm_step_grad(
              c.input(0), c.input(1), c.input(2), c.input(3), c.input(4), active_of(c, 5));
          c.output(0) = grads.gates;
          c.output(1) = grads.h;
          c.output(2) = grads.c;
        },
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() {
        const kernels::LstmBackward<T> step{.hidden = c.output(1).shape[1],
                                            .grad_h_out = rows<const T>(c.input(0)),
                                            .grad_c_out = rows<const T>(c.input(1)),
                                            .c = rows<const T>(c.input(2)),
                                            .c_out = rows<const T>(c.input(3)),
                                            .saved = rows<const T>(c.input(4)),
                                            .grad_gates = rows<T>(c.output(0)),
                                            .grad_h = rows<T>(c.output(1)),
                                            .grad_c = rows<T>(c.output(2)),
                                            .active = active_of(c, 5)};
        over_ranges(c, c.output().shape[0], gates_width * step.hidden,
                    [&](int64_t begin, int64_t end) {
                      recurrent_kernels<T>().lstm_backward(step, begin, end);
                    });
      });
    }}};

void lstm_gates_reference(ReferenceContext& c) {
  const recurrent::LstmStep step =
      recurrent::lstm_step(c.input(0), c.input(1), c.input(2), c.input(3), active_of(c, 4));
  c.output(0) = step.h;
  c.output(1) = step.c;
  c.output(2) = step.saved;
}

// Computes c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c'). Inputs: gates_x,
// gates_h with its bias [B, 4H], h, c [B, H], lengths. Outputs: h', c' [B, H], and for the backward
// pass i, f, g, o [B, 4H].
constinit const Op lstm_gates_op{
    .name = "lstm_gates",
    .shape =
        [](ShapeContext& c) {
          check_step(c, 4, 2);
          const Shape& h = c.input(2);
          c.output(h, c.dtype());
          c.output(h, c.dtype());
          c.output({h[0], 4 * h[1]}, c.dtype());
        },
    .gradient =
        [](GradientContext& c) {
          if (c.has_output_grad(2)) return recurrent::through_reference(c, 3, lstm_gates_reference);
          const auto inputs = with_lengths(
              {c.output_grad(0), c.output_grad(1), c.input(3), c.output(1), c.output(2)},
              lengths_of(c, 4));
          const Var grads = record(lstm_gates_grad_op, inputs, c.words());
          c.input_grad(0) = grads;
          c.input_grad(1) = grads;
          c.input_grad(2) = grads.output(1);
          c.input_grad(3) = grads.output(2);
        },
    .reference = lstm_gates_reference,
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() {
        const kernels::LstmForward<T> step{.hidden = c.output().shape[1],
                                           .gates_x = rows<const T>(c.input(0)),
                                           .gates_h = rows<const T>(c.input(1)),
                                           .h = rows<const T>(c.input(2)),
                                           .c = rows<const T>(c.input(3)),
                                           .h_out = rows<T>(c.output(0)),
                                           .c_out = rows<T>(c.output(1)),
                                           .saved = rows<T>(c.output(2)),
                                           .active = active_of(c, 4)};
        over_ranges(c, c.output().shape[0], gates_width * step.hidden,
                    [&](int64_t begin, int64_t end) {
                      recurrent_kernels<T>().lstm_forward(step, begin, end);
                    });
      });
    }}};

}  // namespace

/// Returns x [B, C] with zeros in the rows that have ended. Their contents, even NaN, must not
/// reach the gradient of the weight.
static Var without_padding(const Arg& x, const RecurrentStep& options) {
  const Var active = active_rows(options.lengths, options.step);
  return active.is_empty() ? as_var(x) : where(Arg(active, x.where), x, 0);
}

// The product with h is a separate node. In the backward pass over a loop of steps, autodiff then
// merges the weight's gradients into one product.

Var gru_gates(const Arg& gates_x, const Arg& h, const Arg& weight_hh, const Arg& bias_hh,
              const RecurrentStep& options) {
  const Var gates_h = linear(h, weight_hh, bias_hh);  // [B, 3H]
  return record(gru_gates_op, with_lengths({gates_x, Arg(gates_h, h.where), h}, options.lengths),
                StepAttributes{options.step});
}

/// Throws Error unless x and the state h have the same rows, [B, C] and [B, H].
static void check_rows(std::string_view op, const Arg& x, const Arg& h) {
  const Shape of_x = x.var()->shape(), of_h = h.var()->shape();
  if (of_x.rank() == 2 && of_h.rank() == 2 && of_x[0] == of_h[0]) return;
  fail(op,
       fmt::format("expected x [B, C] and a state [B, H], got {} and {}", to_string(of_x),
                   to_string(of_h)),
       x.where);
}

Var gru_cell(const Arg& x, const Arg& h, const Arg& weight_ih, const Arg& weight_hh,
             const Arg& bias_ih, const Arg& bias_hh, const RecurrentStep& options) {
  const Arg input(as_var(x), x.where), state(as_var(h), h.where);
  check_rows("gru_cell", input, state);
  const Var gates_x =
      linear(Arg(without_padding(input, options), x.where), weight_ih, bias_ih);  // [B, 3H]
  return gru_gates(Arg(gates_x, x.where), state, weight_hh, bias_hh, options);
}

LstmState lstm_gates(const Arg& gates_x, const LstmState& state, const Arg& weight_hh,
                     const Arg& bias_hh, const RecurrentStep& options) {
  const Arg h(state.h, gates_x.where);
  const Var gates_h = linear(h, weight_hh, bias_hh);  // [B, 4H]
  const Var out =
      record(lstm_gates_op,
             with_lengths({gates_x, Arg(gates_h, gates_x.where), h, Arg(state.c, gates_x.where)},
                          options.lengths),
             StepAttributes{options.step});
  return {out, out.output(1)};
}

LstmState lstm_cell(const Arg& x, const LstmState& state, const Arg& weight_ih,
                    const Arg& weight_hh, const Arg& bias_ih, const Arg& bias_hh,
                    const RecurrentStep& options) {
  const Arg input(as_var(x), x.where);
  check_rows("lstm_cell", input, Arg(state.h, x.where));
  const Var gates_x =
      linear(Arg(without_padding(input, options), x.where), weight_ih, bias_ih);  // [B, 4H]
  return lstm_gates(Arg(gates_x, x.where), state, weight_hh, bias_hh, options);
}

}  // namespace v0
}  // namespace rapt
