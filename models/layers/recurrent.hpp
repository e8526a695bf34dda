// Recurrent layers: cells for one step, and stacks of layers over whole sequences.
#pragma once

#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/parameter.hpp"
#include "ops/recurrent/recurrent.hpp"

namespace rapt RAPT_API {

/// The weights of one direction of one recurrent layer, uniform in +-1/sqrt(hidden) as in PyTorch;
/// G is 3 for a GRU (gates r, z, n) and 4 for an LSTM (i, f, g, o).
struct RecurrentWeights {
  Parameter weight_ih;  // [G H, in]
  Parameter weight_hh;  // [G H, H]
  Parameter bias_ih;    // [G H]
  Parameter bias_hh;    // [G H]

  RecurrentWeights() = default;
  RecurrentWeights(int64_t gates, int64_t in, int64_t hidden, Key key);

  int64_t in() const { return weight_ih.shape()[1]; }
  int64_t hidden() const { return weight_hh.shape()[1]; }
  void visit(auto&& f) {
    f("weight_ih", weight_ih);
    f("weight_hh", weight_hh);
    f("bias_ih", bias_ih);
    f("bias_hh", bias_hh);
  }
};

/// One step of a gated recurrent unit, torch.nn.GRUCell.
struct GRUCell : RecurrentWeights {
  GRUCell() = default;
  GRUCell(int64_t in, int64_t hidden, Key key) : RecurrentWeights(3, in, hidden, key) {}

  /// x [B, in], h [B, H] -> the next state [B, H].
  Var operator()(const Arg& x, const Arg& h) const;
};

/// One step of a long short-term memory, torch.nn.LSTMCell.
struct LSTMCell : RecurrentWeights {
  LSTMCell() = default;
  LSTMCell(int64_t in, int64_t hidden, Key key) : RecurrentWeights(4, in, hidden, key) {}

  /// x [B, in], state [B, H] each -> the next state.
  LstmState operator()(const Arg& x, const LstmState& state) const;
};

struct RecurrentOptions {
  int64_t layers = 1;
  bool bidirectional = false;
  double dropout = 0;  // between layers
};

/// What a stack of recurrent layers gives. D is 2 where it is bidirectional, else 1.
struct RecurrentOutput {
  /// [B, T, D H]: the last layer's states. A padded place repeats its row's last state.
  Var states;
  /// [layers D, B, H]: each direction's state after the last step of each row; forward before
  /// backward, as in PyTorch.
  Var last;
  /// An LSTM's cell states after the last step, like `last`.
  Var last_cells;
};

/// Stacked, optionally bidirectional gated recurrent units over padded batches, torch.nn.GRU with
/// batch_first. What a sentence gives does not depend on what it is padded with (NaN included) or
/// batched with, but for the last bit, where a product of one row sums in another order than one of
/// several.
struct GRU {
  std::vector<RecurrentWeights> forward;   // a layer each
  std::vector<RecurrentWeights> backward;  // the same, where it is bidirectional
  double dropout = 0;

  GRU() = default;
  GRU(int64_t in, int64_t hidden, Key key, const RecurrentOptions& options = {});

  int64_t hidden() const { return forward.at(0).hidden(); }
  /// x [B, T, in], lengths int32 [B] or an empty Var for none, states start at zero. Throws Error
  /// for sequences of no step and, when it is computed, for a length that is none of 0 .. T.
  RecurrentOutput operator()(const Arg& x, const Var& lengths = {}) const;
  void visit(auto&& f) {
    f("forward", forward);
    f("backward", backward);
  }
};

/// The same with long short-term memories, torch.nn.LSTM with batch_first.
struct LSTM {
  std::vector<RecurrentWeights> forward;
  std::vector<RecurrentWeights> backward;
  double dropout = 0;

  LSTM() = default;
  LSTM(int64_t in, int64_t hidden, Key key, const RecurrentOptions& options = {});

  int64_t hidden() const { return forward.at(0).hidden(); }
  RecurrentOutput operator()(const Arg& x, const Var& lengths = {}) const;
  void visit(auto&& f) {
    f("forward", forward);
    f("backward", backward);
  }
};

}  // namespace rapt
