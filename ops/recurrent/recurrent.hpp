// Recurrent cells for a single step, and whole sequences of steps as one operator.
//
// A row of a padded batch keeps its state after its end, so a sentence has the same states in a
// batch as alone. The contents of its padding are never used, not even NaN. A caller who computes
// the gates of an input with a product of his own has to keep NaN out of that product.
//
// All functions throw Error if shapes or element types do not fit. They throw Error at run time if
// a length is below 0 or above the number of steps.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Step number and lengths. Only rows with step < length change in the step. Without lengths all
/// rows change.
struct RecurrentStep {
  Var lengths{};  ///< int32 [B], or empty.
  int64_t step = 0;
};

/// Lengths and direction of a sequence.
struct RecurrentSequence {
  Var lengths{};  ///< int32 [B], or empty: every row has all T steps.
  /// True to run from the last step to the first. A padded row keeps its initial state until its
  /// own last step.
  bool reverse = false;
};

struct LstmState {
  Var h, c;
};

/// Computes one step of a gated recurrent unit (Cho et al. 2014) as torch.nn.GRUCell does. The
/// gates have the parts r, z and n. r and z are sigmoid(x part + h part), n = tanh(x part + r * h
/// part), and h' = (1 - z) n + z h. Shapes: x [B, C], h [B, H], weight_ih [3H, C], weight_hh
/// [3H, H], biases [3H]. Returns h' [B, H].
Var gru_cell(const Arg& x, const Arg& h, const Arg& weight_ih, const Arg& weight_hh,
             const Arg& bias_ih, const Arg& bias_hh, const RecurrentStep& options = {});

/// Computes the same step from gates_x [B, 3H] = x weight_ih' + bias_ih. One product can compute
/// gates_x for all steps.
Var gru_gates(const Arg& gates_x, const Arg& h, const Arg& weight_hh, const Arg& bias_hh,
              const RecurrentStep& options = {});

/// Computes all steps of a GRU as one operator. Shapes: gates_x [T, B, 3H], h0 [B, H], weight_hh
/// [3H, H], bias_hh [3H]. Returns the states [T, B, H]. Padded positions hold the state that is
/// carried over: the row's last state, or h0 if `reverse` is set.
Var gru_sequence(const Arg& gates_x, const Arg& h0, const Arg& weight_hh, const Arg& bias_hh,
                 const RecurrentSequence& options = {});

/// Computes one step of a long short-term memory with forget gates (Gers et al. 2000) as
/// torch.nn.LSTMCell does. The gates have the parts i, f, g and o. c' = sigmoid(f) c + sigmoid(i)
/// tanh(g), and h' = sigmoid(o) tanh(c'). Shapes: x [B, C], state [B, H] each, weight_ih [4H, C],
/// weight_hh [4H, H], biases [4H].
LstmState lstm_cell(const Arg& x, const LstmState& state, const Arg& weight_ih,
                    const Arg& weight_hh, const Arg& bias_ih, const Arg& bias_hh,
                    const RecurrentStep& options = {});

/// Computes the same step from gates_x [B, 4H] = x weight_ih' + bias_ih.
LstmState lstm_gates(const Arg& gates_x, const LstmState& state, const Arg& weight_hh,
                     const Arg& bias_hh, const RecurrentStep& options = {});

/// Computes all steps of an LSTM as one operator. Shapes: gates_x [T, B, 4H], initial state [B, H]
/// each, weight_hh [4H, H], bias_hh [4H]. Returns the states of all steps, [T, B, H] each. Padded
/// positions are as in gru_sequence.
LstmState lstm_sequence(const Arg& gates_x, const LstmState& state, const Arg& weight_hh,
                        const Arg& bias_hh, const RecurrentSequence& options = {});

}  // namespace v0
}  // namespace rapt
