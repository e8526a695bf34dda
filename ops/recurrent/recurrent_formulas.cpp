#include "ops/recurrent/recurrent_formulas.hpp"

#include <vector>

#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/shape.hpp"

namespace rapt::recurrent {
namespace {

/// Returns part i of concatenated gates, each as wide as `h`.
Var part(const Var& gates, int64_t i, const Var& h) {
  const int64_t width = h.size(-1);
  return slice(gates, -1, i * width, (i + 1) * width);
}

Var side_by_side(const std::vector<Var>& parts) { return concat(parts, -1); }

Var choose(const Var& active, const Var& moved, const Arg& kept) {
  return active.is_empty() ? moved : where(active, moved, kept);
}

}  // namespace

Var active_rows(const Var& lengths, int64_t step) {
  return lengths.is_empty() ? Var() : unsqueeze(lengths > step, 1);
}

GruStep gru_step(const Var& all_gates_x, const Var& gates_h, const Var& h, const Var& active) {
  // Zeroed first, because 0 times a NaN in the padding is NaN.
  const Var gates_x = choose(active, all_gates_x, 0);
  const Var r = sigmoid(part(gates_x, 0, h) + part(gates_h, 0, h));  // [B, H]
  const Var z = sigmoid(part(gates_x, 1, h) + part(gates_h, 1, h));
  const Var h_n = part(gates_h, 2, h);
  const Var n = tanh(part(gates_x, 2, h) + r * h_n);
  return {choose(active, n + z * (h - n), h), choose(active, side_by_side({r, z, n, h_n}), 0)};
}

GruStepGrad gru_step_grad(const Var& grad, const Var& h, const Var& saved, const Var& active) {
  const Var r = part(saved, 0, h), z = part(saved, 1, h);
  const Var n = part(saved, 2, h), h_n = part(saved, 3, h);
  // h' = (1 - z) n + z h, n = tanh(x_n + r h_n)
  const Var d_n = grad * (1 - z) * (1 - n * n);
  const Var d_z = grad * (h - n) * z * (1 - z);
  const Var d_r = d_n * h_n * r * (1 - r);
  return {choose(active, side_by_side({d_r, d_z, d_n}), 0),
          choose(active, side_by_side({d_r, d_z, d_n * r}), 0), choose(active, grad * z, grad)};
}

LstmStep lstm_step(const Var& gates_x, const Var& gates_h, const Var& h, const Var& c,
                   const Var& active) {
  const Var gates = choose(active, gates_x, 0) + gates_h;
  const Var input = sigmoid(part(gates, 0, c));  // [B, H]
  const Var forget = sigmoid(part(gates, 1, c));
  const Var update = tanh(part(gates, 2, c));
  const Var output = sigmoid(part(gates, 3, c));
  const Var cell = forget * c + input * update;
  return {choose(active, output * tanh(cell), h), choose(active, cell, c),
          choose(active, side_by_side({input, forget, update, output}), 0)};
}

LstmStepGrad lstm_step_grad(const Var& grad_h, const Var& grad_c, const Var& c, const Var& c_out,
                            const Var& saved, const Var& active) {
  const Var input = part(saved, 0, c), forget = part(saved, 1, c);
  const Var update = part(saved, 2, c), output = part(saved, 3, c);
  const Var squashed = tanh(c_out);
  // c' = f c + i g, h' = o tanh(c')
  const Var d_c = grad_c + grad_h * output * (1 - squashed * squashed);
  const Var gates = side_by_side(
      {d_c * update * input * (1 - input), d_c * c * forget * (1 - forget),
       d_c * input * (1 - update * update), grad_h * squashed * output * (1 - output)});
  return {choose(active, gates, 0), active.is_empty() ? grad_h * 0 : where(active, 0, grad_h),
          choose(active, d_c * forget, grad_c)};
}

void through_reference(GradientContext& c, int outputs, void (*reference)(ReferenceContext&)) {
  std::vector<Var> inputs, wrt, seeds;
  std::vector<int> positions;
  for (int i = 0; i < c.inputs(); ++i) {
    inputs.push_back(c.input(i));
    if (!c.needs(i)) continue;
    // The alias makes one Var that is given twice count as two operands.
    inputs.back() = alias(inputs.back());
    wrt.push_back(inputs.back());
    positions.push_back(i);
  }
  std::vector<Var> values(static_cast<size_t>(outputs));
  ReferenceContext context(inputs, values, c.words());
  reference(context);
  for (int i = 0; i < outputs; ++i) {
    seeds.push_back(c.has_output_grad(i) ? c.output_grad(i) : Var());
  }
  const std::vector<Var> grads = vjp(values, seeds, wrt);
  for (size_t i = 0; i < grads.size(); ++i) c.input_grad(positions[i]) = grads[i];
}

}  // namespace rapt::recurrent
