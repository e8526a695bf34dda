// One step of a recurrent cell and its derivative in plain operators. The references of the fused
// operators are composed of them.
#pragma once

#include "framework/graph/op.hpp"

namespace rapt::recurrent {

/// Returns a mask of the rows that have not ended at step `step`, [B, 1]; empty without lengths.
Var active_rows(const Var& lengths, int64_t step);

struct GruStep {
  Var h;      // [B, H]
  Var saved;  // [B, 4H]: r, z, n, h_n; zeros in rows that have ended
};
/// Computes one step. gates_h includes its bias. If `active` is empty, all rows change.
GruStep gru_step(const Var& gates_x, const Var& gates_h, const Var& h, const Var& active);

struct GruStepGrad {
  Var gates_x, gates_h;  // [B, 3H]
  Var h;                 // [B, H]: the part that reaches h directly, not through gates_h
};
GruStepGrad gru_step_grad(const Var& grad, const Var& h, const Var& saved, const Var& active);

struct LstmStep {
  Var h, c;   // [B, H]
  Var saved;  // [B, 4H]: i, f, g, o; zeros in rows that have ended
};
LstmStep lstm_step(const Var& gates_x, const Var& gates_h, const Var& h, const Var& c,
                   const Var& active);

struct LstmStepGrad {
  Var gates;  // [B, 4H], the same for both kinds of gates
  Var h, c;   // [B, H]; h: the part that passes through rows that have ended
};
LstmStepGrad lstm_step_grad(const Var& grad_h, const Var& grad_c, const Var& c, const Var& c_out,
                            const Var& saved, const Var& active);

/// Gradient rule that differentiates the reference. It serves operators whose own backward pass
/// does not cover the gradients of all their `outputs`.
void through_reference(GradientContext& c, int outputs, void (*reference)(ReferenceContext&));

}  // namespace rapt::recurrent
