// One step of a recurrent cell and its derivative, in plain operators: what the references of the
// fused operators are made of.
#pragma once

#include "framework/graph/op.hpp"

namespace rapt::recurrent {

/// The rows of step `step` that have not ended, [B, 1]; empty without lengths.
Var active_rows(const Var& lengths, int64_t step);

struct GruStep {
  Var h;      // [B, H]
  Var saved;  // [B, 4H]: r, z, n, h_n; zeros in rows that have ended
};
/// gates_h includes its bias. `active` may be empty: then all rows move.
GruStep gru_step(const Var& gates_x, const Var& gates_h, const Var& h, const Var& active);

struct GruStepGrad {
  Var gates_x, gates_h;  // [B, 3H]
  Var h;                 // [B, H]: what passes h directly, not through gates_h
};
GruStepGrad gru_step_grad(const Var& grad, const Var& h, const Var& saved, const Var& active);

struct LstmStep {
  Var h, c;   // [B, H]
  Var saved;  // [B, 4H]: i, f, g, o; zeros in rows that have ended
};
LstmStep lstm_step(const Var& gates_x, const Var& gates_h, const Var& h, const Var& c,
                   const Var& active);

struct LstmStepGrad {
  Var gates;  // [B, 4H], of both kinds of gates alike
  Var h, c;   // [B, H]; h: what rows that have ended hand on
};
LstmStepGrad lstm_step_grad(const Var& grad_h, const Var& grad_c, const Var& c, const Var& c_out,
                            const Var& saved, const Var& active);

/// A gradient rule: differentiates the reference. For operators whose own backward pass does not
/// cover a gradient of all their `outputs`.
void through_reference(GradientContext& c, int outputs, void (*reference)(ReferenceContext&));

}  // namespace rapt::recurrent
