// Whole sequences of recurrent steps as one operator. Forward and backward are loops of one product
// and one pass over the gates per step. The gradient of the weight is a single product over all
// steps.
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "framework/core/recycled.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/products/product.hpp"
#include "ops/recurrent/recurrent.hpp"
#include "ops/recurrent/recurrent_formulas.hpp"
#include "ops/recurrent/recurrent_split.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using kernels::Rows;
using recurrent::gates_width;
using recurrent::recurrent_kernels;
using recurrent::rows;

// The optional input "lengths" comes last.
struct SequenceAttributes {
  int64_t reverse;
  int64_t has_lengths;
  int64_t has_grad_cells;
};

/// Order in which the steps run.
struct Order {
  int64_t steps;
  bool reverse;

  int64_t at(int64_t i) const { return reverse ? steps - 1 - i : i; }
};

Order order_of(const ForwardContext& c, int64_t steps) {
  return {steps, c.attributes<SequenceAttributes>().reverse != 0};
}

kernels::ActiveRows active_at(const ForwardContext& c, int64_t t) {
  if (c.attributes<SequenceAttributes>().has_lengths == 0) return {};
  return {.lengths = c.input(c.inputs() - 1).as<const int32_t>(), .step = t};
}

void check_lengths(const ForwardContext& c) {
  if (c.attributes<SequenceAttributes>().has_lengths == 0) return;
  rapt::check_lengths(c.input(c.inputs() - 1), c.input(0).shape[0]);
}

Var active_at(const ReferenceContext& c, int64_t t) {
  if (c.attributes<SequenceAttributes>().has_lengths == 0) return {};
  return recurrent::active_rows(c.input(c.inputs() - 1), t);
}

/// Describes gates_h = h weight'. The weight [parts H, H] is read transposed.
template <class T>
kernels::Gemm<T> gates_product(int64_t batch, int64_t gates, int64_t hidden, const T* weight,
                               T* gates_h) {
  kernels::Gemm<T> g;
  g.m = batch;
  g.n = gates;
  g.k = hidden;
  g.a_row = hidden;
  g.b = weight;
  g.b_row = 1;
  g.b_col = hidden;
  g.c = gates_h;
  g.c_row = gates;
  return g;
}

/// Describes grad_h += grad_gates_h weight.
template <class T>
kernels::Gemm<T> state_product(int64_t batch, int64_t gates, int64_t hidden, const T* weight,
                               T* grad_h) {
  kernels::Gemm<T> g;
  g.m = batch;
  g.n = hidden;
  g.k = gates;
  g.a_row = gates;
  g.b = weight;
  g.b_row = hidden;
  g.c = grad_h;
  g.c_row = hidden;
  g.beta = 1;
  return g;
}

/// Computes out = a + b, or out = a if b is null, for the rows [begin, end).
template <class T>
void add_rows(const Rows<const T>& a, const Rows<const T>& b, const Rows<T>& out, int64_t width,
              int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* x = a.data + row * a.stride;
    const T* y = b.data == nullptr ? nullptr : b.data + row * b.stride;
    T* sum = out.data + row * out.stride;
    for (int64_t j = 0; j < width; ++j) sum[j] = y == nullptr ? x[j] : x[j] + y[j];
  }
}

template <class T>
Rows<const T> constant(const Rows<T>& r) {
  return {r.data, r.stride};
}

/// Returns the size in bytes of `arrays` arrays of this shape.
int64_t scratch_like(const Shape& shape, DType dtype, int64_t arrays) {
  return arrays * shape.size() * size_of(dtype);
}

void zero(const TensorView& view) {
  std::memset(view.data, 0, static_cast<size_t>(view.size() * size_of(view.dtype)));
}

/// Returns the state before each step, [T, B, H], from the states and the initial one.
Var states_before(const Var& states, const Var& initial, bool reverse) {
  const Var first = unsqueeze(initial, 0);
  return reverse ? concat({slice(states, 0, 1), first}, 0)
                 : concat({first, slice(states, 0, 0, -1)}, 0);
}

/// Checks gates_x [T, B, parts H], `states` arrays [B, H], weight, bias and lengths.
void check_sequence(const ShapeContext& c, int64_t parts, int states) {
  const Shape &gates = c.input(0), &h = c.input(1);
  const int weight = 1 + states, bias = 2 + states;
  c.one_float_type(bias + 1);
  if (h.rank() != 2 || gates.rank() != 3 || gates[1] != h[0] || gates[2] != parts * h[1]) {
    c.fail(fmt::format("expected gates [T, B, {}H] and an initial state [B, H], got {} and {}",
                       parts, to_string(gates), to_string(h)));
  }
  if (states == 2 && c.input(2) != h) {
    c.fail(fmt::format("expected states of one shape, got {} and {}", to_string(h),
                       to_string(c.input(2))));
  }
  if (c.input(weight) != Shape{parts * h[1], h[1]} || c.input(bias) != Shape{parts * h[1]}) {
    c.fail(
        fmt::format("expected a weight [{0}H, H] and a bias [{0}H] for states {1}, got {2} and {3}",
                    parts, to_string(h), to_string(c.input(weight)), to_string(c.input(bias))));
  }
  if (c.inputs() > bias + 1) recurrent::check_lengths(c, bias + 1, h[0]);
}

// ---- GRU ----------------------------------------------------------------------------------------

// Inputs: gradient of the states, states, saved, h0, weight, lengths. Outputs: gradients of gates_x
// and gates_h [T, B, 3H], and of h0 [B, H].
template <class T>
void gru_sequence_backward(const ForwardContext& c) {
  const TensorView &states = c.input(1), &grad_h = c.output(2);
  const int64_t steps = states.shape[0], B = states.shape[1], H = states.shape[2];
  const Order order = order_of(c, steps);
  kernels::Gemm<T> through_gates =
      state_product<T>(B, 3 * H, H, c.input(4).as<const T>(), grad_h.as<T>());
  const Rows<T> total{static_cast<T*>(c.scratch()), H};  // [B, H]
  zero(grad_h);
  for (int64_t i = steps; i-- > 0;) {
    const int64_t t = order.at(i);
    const kernels::GruBackward<T> step{
        .hidden = H,
        .grad_out = constant(total),
        .h = i == 0 ? rows<const T>(c.input(3)) : rows<const T>(states, order.at(i - 1)),
        .saved = rows<const T>(c.input(2), t),
        .grad_gates_x = rows<T>(c.output(0), t),
        .grad_gates_h = rows<T>(c.output(1), t),
        .grad_h = rows<T>(grad_h),
        .active = active_at(c, t)};
    over_ranges(c, B, gates_width * H, [&](int64_t begin, int64_t end) {
      add_rows(rows<const T>(c.input(0), t), rows<const T>(grad_h), total, H, begin, end);
      recurrent_kernels<T>().gru_backward(step, begin, end);
    });
    through_gates.a = step.grad_gates_h.data;
    multiply(c, Product<T>(through_gates));
  }
}

/// Returns the operations of the products with the recurrent weights at all steps.
double sequence_flops(const ForwardContext& c) {
  return 2.0 * static_cast<double>(c.input(0).size() * c.output().shape[-1]);
}
double sequence_grad_flops(const ForwardContext& c) {
  return 2.0 * static_cast<double>(c.output().size() * c.input(1).shape[-1]);
}

constinit const Op gru_sequence_grad_op{
    .name = "gru_sequence_grad",
    .shape =
        [](ShapeContext& c) {
          const Shape& states = c.input(1);
          const Shape gates{states[0], states[1], 3 * states[2]};
          c.output(gates, c.dtype());
          c.output(gates, c.dtype());
          c.output(c.input(3), c.dtype());
        },
    .reference =
        [](ReferenceContext& c) {
          const Var &grad_states = c.input(0), &states = c.input(1), &saved = c.input(2);
          const Order order{states.size(0), c.attributes<SequenceAttributes>().reverse != 0};
          std::vector<Var> gates_x(static_cast<size_t>(order.steps)), gates_h = gates_x;
          Var grad_h = c.input(3) * 0;  // [B, H]
          for (int64_t i = order.steps; i-- > 0;) {
            const int64_t t = order.at(i);
            const auto at = static_cast<size_t>(t);
            const Var h = i == 0 ? c.input(3) : select(states, 0, order.at(i - 1));
            const recurrent::GruStepGrad step = recurrent::gru_step_grad(
                grad_h + select(grad_states, 0, t), h, select(saved, 0, t), active_at(c, t));
            gates_x[at] = step.gates_x;
            gates_h[at] = step.gates_h;
            grad_h = step.h + matmul(step.gates_h, c.input(4));
          }
          c.output(0) = stack(gates_x, 0);
          c.output(1) = stack(gates_h, 0);
          c.output(2) = grad_h;
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() { gru_sequence_backward<T>(c); });
                },
            .scratch =
                [](const ForwardContext& c) {
                  return scratch_like(c.output(2).shape, c.output().dtype, 1);
                },
            .flops = sequence_grad_flops}};

template <class T>
void gru_sequence_forward(const ForwardContext& c) {
  const TensorView& states = c.output(0);
  const int64_t steps = states.shape[0], B = states.shape[1], H = states.shape[2];
  const Order order = order_of(c, steps);
  auto* gates_h = static_cast<T*>(c.scratch());  // [B, 3H]
  kernels::Gemm<T> into_gates = gates_product<T>(B, 3 * H, H, c.input(2).as<const T>(), gates_h);
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = order.at(i);
    const kernels::GruForward<T> step{
        .hidden = H,
        .gates_x = rows<const T>(c.input(0), t),
        .gates_h = {gates_h, 3 * H},
        .bias_h = c.input(3).as<const T>(),
        .h = i == 0 ? rows<const T>(c.input(1)) : rows<const T>(states, order.at(i - 1)),
        .h_out = rows<T>(states, t),
        .saved = rows<T>(c.output(1), t),
        .active = active_at(c, t)};
    into_gates.a = step.h.data;
    multiply(c, Product<T>(into_gates));
    over_ranges(c, B, gates_width * H, [&](int64_t begin, int64_t end) {
      recurrent_kernels<T>().gru_forward(step, begin, end);
    });
  }
}

void gru_sequence_reference(ReferenceContext& c) {
  const Var& gates_x = c.input(0);
  const Order order{gates_x.size(0), c.attributes<SequenceAttributes>().reverse != 0};
  std::vector<Var> states(static_cast<size_t>(order.steps)), saved = states;
  Var h = c.input(1);  // [B, H]
  for (int64_t i = 0; i < order.steps; ++i) {
    const int64_t t = order.at(i);
    const Var gates_h = matmul(h, transpose(c.input(2))) + c.input(3);  // [B, 3H]
    const recurrent::GruStep step =
        recurrent::gru_step(select(gates_x, 0, t), gates_h, h, active_at(c, t));
    h = states[static_cast<size_t>(t)] = step.h;
    saved[static_cast<size_t>(t)] = step.saved;
  }
  c.output(0) = stack(states, 0);
  c.output(1) = stack(saved, 0);
}

// Computes r, z = sigmoid(x_rz + h_rz), n = tanh(x_n + r h_n), h' = (1 - z) n + z h with gates_h =
// h W' + b. Inputs: gates_x [T, B, 3H], h0 [B, H], weight, bias, lengths. Outputs: states
// [T, B, H], and for the backward pass r, z, n, h_n [T, B, 4H].
constinit const Op gru_sequence_op{
    .name = "gru_sequence",
    .shape =
        [](ShapeContext& c) {
          check_sequence(c, 3, 1);
          const int64_t steps = c.input(0)[0], B = c.input(1)[0], H = c.input(1)[1];
          c.output({steps, B, H}, c.dtype());
          c.output({steps, B, 4 * H}, c.dtype());
        },
    .gradient =
        [](GradientContext& c) {
          if (c.has_output_grad(1)) {
            return recurrent::through_reference(c, 2, gru_sequence_reference);
          }
          if (c.output().size(0) == 0) return;  // without steps there is no gradient
          const auto attributes = c.attributes<SequenceAttributes>();
          Recycled<Arg> inputs{c.output_grad(), c.output(), c.output(1), c.input(1), c.input(2)};
          if (attributes.has_lengths != 0) inputs.emplace_back(c.input(4));
          const Var grads = record(gru_sequence_grad_op, inputs, attributes);
          c.input_grad(0) = grads;
          c.input_grad(1) = grads.output(2);
          if (c.needs(2)) {
            const Var before = states_before(c.output(), c.input(1), attributes.reverse != 0);
            c.input_grad(2) = matmul(transpose(as_rows(grads.output(1))), as_rows(before));
          }
          c.input_grad(3) = grads.output(1);  // the engine sums over steps and rows
        },
    .reference = gru_sequence_reference,
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  check_lengths(c);
                  by_float_type(c.output().dtype, [&]<class T>() { gru_sequence_forward<T>(c); });
                },
            .scratch =
                [](const ForwardContext& c) {
                  return scratch_like(c.input(1).shape, c.output().dtype, 3);
                },
            .flops = sequence_flops}};

// ---- LSTM ---------------------------------------------------------------------------------------

// Inputs: gradient of the states, cells, saved, c0, weight, gradient of the cells (or none),
// lengths. Outputs: gradients of the gates [T, B, 4H], h0 and c0 [B, H].
template <class T>
void lstm_sequence_backward(const ForwardContext& c) {
  const TensorView &cells = c.input(1), &grad_h = c.output(1), &grad_c = c.output(2);
  const int64_t steps = cells.shape[0], B = cells.shape[1], H = cells.shape[2];
  const Order order = order_of(c, steps);
  const bool has_grad_cells = c.attributes<SequenceAttributes>().has_grad_cells != 0;
  kernels::Gemm<T> through_gates =
      state_product<T>(B, 4 * H, H, c.input(4).as<const T>(), grad_h.as<T>());
  const Rows<T> total_h{static_cast<T*>(c.scratch()), H};  // [B, H]
  const Rows<T> total_c{total_h.data + B * H, H};
  zero(grad_h);
  zero(grad_c);
  for (int64_t i = steps; i-- > 0;) {
    const int64_t t = order.at(i);
    const Rows<const T> grad_cells =
        has_grad_cells ? rows<const T>(c.input(5), t) : Rows<const T>{};
    const kernels::LstmBackward<T> step{
        .hidden = H,
        .grad_h_out = constant(total_h),
        .grad_c_out = constant(total_c),
        .c = i == 0 ? rows<const T>(c.input(3)) : rows<const T>(cells, order.at(i - 1)),
        .c_out = rows<const T>(cells, t),
        .saved = rows<const T>(c.input(2), t),
        .grad_gates = rows<T>(c.output(0), t),
        .grad_h = rows<T>(grad_h),
        .grad_c = rows<T>(grad_c),
        .active = active_at(c, t)};
    over_ranges(c, B, gates_width * H, [&](int64_t begin, int64_t end) {
      add_rows(rows<const T>(c.input(0), t), rows<const T>(grad_h), total_h, H, begin, end);
      add_rows(rows<const T>(grad_c), grad_cells, total_c, H, begin, end);
      recurrent_kernels<T>().lstm_backward(step, begin, end);
    });
    through_gates.a = step.grad_gates.data;
    multiply(c, Product<T>(through_gates));
  }
}

constinit const Op lstm_sequence_grad_op{
    .name = "lstm_sequence_grad",
    .shape =
        [](ShapeContext& c) {
          const Shape& cells = c.input(1);
          c.output({cells[0], cells[1], 4 * cells[2]}, c.dtype());
          c.output(c.input(3), c.dtype());
          c.output(c.input(3), c.dtype());
        },
    .reference =
        [](ReferenceContext& c) {
          const Var &grad_states = c.input(0), &cells = c.input(1), &saved = c.input(2);
          const auto attributes = c.attributes<SequenceAttributes>();
          const Order order{cells.size(0), attributes.reverse != 0};
          std::vector<Var> gates(static_cast<size_t>(order.steps));
          Var grad_h = c.input(3) * 0, grad_c = grad_h;  // [B, H]
          for (int64_t i = order.steps; i-- > 0;) {
            const int64_t t = order.at(i);
            if (attributes.has_grad_cells != 0) grad_c = grad_c + select(c.input(5), 0, t);
            const Var before = i == 0 ? c.input(3) : select(cells, 0, order.at(i - 1));
            const recurrent::LstmStepGrad step = recurrent::lstm_step_grad(
                grad_h + select(grad_states, 0, t), grad_c, before, select(cells, 0, t),
                select(saved, 0, t), active_at(c, t));
            gates[static_cast<size_t>(t)] = step.gates;
            grad_h = step.h + matmul(step.gates, c.input(4));
            grad_c = step.c;
          }
          c.output(0) = stack(gates, 0);
          c.output(1) = grad_h;
          c.output(2) = grad_c;
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() { lstm_sequence_backward<T>(c); });
                },
            .scratch =
                [](const ForwardContext& c) {
                  return scratch_like(c.output(1).shape, c.output().dtype, 2);
                },
            .flops = sequence_grad_flops}};

template <class T>
void lstm_sequence_forward(const ForwardContext& c) {
  const TensorView &states = c.output(0), &cells = c.output(1);
  const int64_t steps = states.shape[0], B = states.shape[1], H = states.shape[2];
  const Order order = order_of(c, steps);
  auto* gates_h = static_cast<T*>(c.scratch());  // [B, 4H]
  kernels::Gemm<T> into_gates = gates_product<T>(B, 4 * H, H, c.input(3).as<const T>(), gates_h);
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t t = order.at(i), before = i == 0 ? 0 : order.at(i - 1);
    const kernels::LstmForward<T> step{
        .hidden = H,
        .gates_x = rows<const T>(c.input(0), t),
        .gates_h = {gates_h, 4 * H},
        .bias_h = c.input(4).as<const T>(),
        .h = i == 0 ? rows<const T>(c.input(1)) : rows<const T>(states, before),
        .c = i == 0 ? rows<const T>(c.input(2)) : rows<const T>(cells, before),
        .h_out = rows<T>(states, t),
        .c_out = rows<T>(cells, t),
        .saved = rows<T>(c.output(2), t),
        .active = active_at(c, t)};
    into_gates.a = step.h.data;
    multiply(c, Product<T>(into_gates));
    over_ranges(c, B, gates_width * H, [&](int64_t begin, int64_t end) {
      recurrent_kernels<T>().lstm_forward(step, begin, end);
    });
  }
}

void lstm_sequence_reference(ReferenceContext& c) {
  const Var& gates_x = c.input(0);
  const Order order{gates_x.size(0), c.attributes<SequenceAttributes>().reverse != 0};
  std::vector<Var> states(static_cast<size_t>(order.steps)), cells = states, saved = states;
  Var h = c.input(1), cell = c.input(2);  // [B, H]
  for (int64_t i = 0; i < order.steps; ++i) {
    const int64_t t = order.at(i);
    const auto at = static_cast<size_t>(t);
    const Var gates_h = matmul(h, transpose(c.input(3))) + c.input(4);  // [B, 4H]
    const recurrent::LstmStep step =
        recurrent::lstm_step(select(gates_x, 0, t), gates_h, h, cell, active_at(c, t));
    h = states[at] = step.h;
    cell = cells[at] = step.c;
    saved[at] = step.saved;
  }
  c.output(0) = stack(states, 0);
  c.output(1) = stack(cells, 0);
  c.output(2) = stack(saved, 0);
}

// Computes c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c') with gates_h = h W' +
// b. Inputs: gates_x [T, B, 4H], h0, c0 [B, H], weight, bias, lengths. Outputs: states and cells
// [T, B, H], and for the backward pass i, f, g, o [T, B, 4H].
constinit const Op lstm_sequence_op{
    .name = "lstm_sequence",
    .shape =
        [](ShapeContext& c) {
          check_sequence(c, 4, 2);
          const int64_t steps = c.input(0)[0], B = c.input(1)[0], H = c.input(1)[1];
          c.output({steps, B, H}, c.dtype());
          c.output({steps, B, H}, c.dtype());
          c.output({steps, B, 4 * H}, c.dtype());
        },
    .gradient =
        [](GradientContext& c) {
          if (c.has_output_grad(2)) {
            return recurrent::through_reference(c, 3, lstm_sequence_reference);
          }
          if (c.output().size(0) == 0) return;  // without steps there is no gradient
          auto attributes = c.attributes<SequenceAttributes>();
          Recycled<Arg> inputs{c.output_grad(), c.output(1), c.output(2), c.input(2), c.input(3)};
          // Usually the loss depends only on the states, not on the cells.
          attributes.has_grad_cells = c.has_output_grad(1) ? 1 : 0;
          if (attributes.has_grad_cells != 0) inputs.emplace_back(c.output_grad(1));
          if (attributes.has_lengths != 0) inputs.emplace_back(c.input(5));
          const Var grads = record(lstm_sequence_grad_op, inputs, attributes);
          c.input_grad(0) = grads;
          c.input_grad(1) = grads.output(1);
          c.input_grad(2) = grads.output(2);
          if (c.needs(3)) {
            const Var before = states_before(c.output(), c.input(1), attributes.reverse != 0);
            c.input_grad(3) = matmul(transpose(as_rows(grads)), as_rows(before));
          }
          c.input_grad(4) = grads;  // the engine sums over steps and rows
        },
    .reference = lstm_sequence_reference,
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  check_lengths(c);
                  by_float_type(c.output().dtype, [&]<class T>() { lstm_sequence_forward<T>(c); });
                },
            .scratch =
                [](const ForwardContext& c) {
                  return scratch_like(c.input(1).shape, c.output().dtype, 4);
                },
            .flops = sequence_flops}};

SequenceAttributes sequence_attributes(const RecurrentSequence& options) {
  return {options.reverse ? 1 : 0, options.lengths.is_empty() ? 0 : 1, 0};
}

}  // namespace

Var gru_sequence(const Arg& gates_x, const Arg& h0, const Arg& weight_hh, const Arg& bias_hh,
                 const RecurrentSequence& options) {
  Recycled<Arg> inputs{gates_x, h0, weight_hh, bias_hh};
  if (!options.lengths.is_empty()) inputs.emplace_back(options.lengths);
  return record(gru_sequence_op, inputs, sequence_attributes(options));
}

LstmState lstm_sequence(const Arg& gates_x, const LstmState& state, const Arg& weight_hh,
                        const Arg& bias_hh, const RecurrentSequence& options) {
  Recycled<Arg> inputs{gates_x, state.h, state.c, weight_hh, bias_hh};
  if (!options.lengths.is_empty()) inputs.emplace_back(options.lengths);
  const Var states = record(lstm_sequence_op, inputs, sequence_attributes(options));
  return {states, states.output(1)};
}

}  // namespace v0
}  // namespace rapt
