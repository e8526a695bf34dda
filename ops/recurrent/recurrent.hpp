// Recurrent cells, one step at a time, and whole sequences of steps as one operator.
//
// A row of a padded batch that has ended hands its state on unchanged: a sentence has the same
// states in a batch as alone. What stands in its padding is never used, NaN included; whoever makes
// gates of an input by a product of his own has to keep NaN out of that. All throw Error where
// shapes or element types do not fit and, when it is computed, for a length below 0 or above the
// number of steps.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// Which rows a step moves: those with step < length. Without lengths, all.
struct RecurrentStep {
  Var lengths{};  // int32 [B], or empty
  int64_t step = 0;
};

/// How a sequence runs.
struct RecurrentSequence {
  Var lengths{};  // int32 [B], or empty: every row has all T steps
  /// From the last step to the first. A padded row keeps its first state until its own last step.
  bool reverse = false;
};

struct LstmState {
  Var h, c;
};

/// A step of a gated recurrent unit (Cho et al. 2014) as in torch.nn.GRUCell: with the parts r, z,
/// n of the gates, r and z = sigmoid(x + h parts), n = tanh(x part + r * h part), and
/// h' = (1 - z) n + z h. x [B, C], h [B, H], weight_ih [3H, C], weight_hh [3H, H], biases [3H];
/// gives h' [B, H].
Var gru_cell(const Arg& x, const Arg& h, const Arg& weight_ih, const Arg& weight_hh,
             const Arg& bias_ih, const Arg& bias_hh, const RecurrentStep& options = {});

/// The same from gates_x [B, 3H] = x weight_ih' + bias_ih, which one product can give for all
/// steps.
Var gru_gates(const Arg& gates_x, const Arg& h, const Arg& weight_hh, const Arg& bias_hh,
              const RecurrentStep& options = {});

/// All steps of a GRU as one operator: gates_x [T, B, 3H], h0 [B, H], weight_hh [3H, H],
/// bias_hh [3H]; gives the states [T, B, H]. At a padded place stands the state handed on: the last
/// of the row, or with `reverse` h0.
Var gru_sequence(const Arg& gates_x, const Arg& h0, const Arg& weight_hh, const Arg& bias_hh,
                 const RecurrentSequence& options = {});

/// A step of a long short-term memory with forget gates (Gers et al. 2000) as in
/// torch.nn.LSTMCell: with the parts i, f, g, o of the gates, c' = sigmoid(f) c + sigmoid(i)
/// tanh(g), h' = sigmoid(o) tanh(c'). x [B, C], state [B, H] each, weight_ih [4H, C],
/// weight_hh [4H, H], biases [4H].
LstmState lstm_cell(const Arg& x, const LstmState& state, const Arg& weight_ih,
                    const Arg& weight_hh, const Arg& bias_ih, const Arg& bias_hh,
                    const RecurrentStep& options = {});

/// The same from gates_x [B, 4H] = x weight_ih' + bias_ih.
LstmState lstm_gates(const Arg& gates_x, const LstmState& state, const Arg& weight_hh,
                     const Arg& bias_hh, const RecurrentStep& options = {});

/// All steps of an LSTM as one operator: gates_x [T, B, 4H], initial state [B, H] each, weight_hh
/// [4H, H], bias_hh [4H]; gives the states of all steps, [T, B, H] each. Padded places as in
/// gru_sequence.
LstmState lstm_sequence(const Arg& gates_x, const LstmState& state, const Arg& weight_hh,
                        const Arg& bias_hh, const RecurrentSequence& options = {});

}  // namespace RAPT_API
