// Recurrent layers: cells for one step, and stacks of layers for whole sequences.
#pragma once

#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/parameter.hpp"
#include "ops/recurrent/recurrent.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// The weights of one direction of one recurrent layer, drawn uniformly in +-1/sqrt(hidden) as in
/// PyTorch. G is 3 for a GRU (gates r, z, n) and 4 for an LSTM (i, f, g, o).
struct RecurrentWeights {
  Parameter weight_ih;  ///< [G H, in]
  Parameter weight_hh;  ///< [G H, H]
  Parameter bias_ih;    ///< [G H]
  Parameter bias_hh;    ///< [G H]

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

/// One step of a gated recurrent unit, as torch.nn.GRUCell.
struct GRUCell : RecurrentWeights {
  GRUCell() = default;
  GRUCell(int64_t in, int64_t hidden, Key key) : RecurrentWeights(3, in, hidden, key) {}

  /// x [B, in], h [B, H] -> the next state [B, H].
  Var operator()(const Arg& x, const Arg& h) const;
};

/// One step of a long short-term memory, as torch.nn.LSTMCell.
struct LSTMCell : RecurrentWeights {
  LSTMCell() = default;
  LSTMCell(int64_t in, int64_t hidden, Key key) : RecurrentWeights(4, in, hidden, key) {}

  /// x [B, in], h and c of `state` [B, H] each -> the next state.
  LstmState operator()(const Arg& x, const LstmState& state) const;
};

struct RecurrentOptions {
  int64_t layers = 1;
  bool bidirectional = false;
  double dropout = 0;  ///< dropout between layers
};

/// The output of a stack of recurrent layers. D is 2 if it is bidirectional, else 1.
struct RecurrentOutput {
  /// [B, T, D H]: the states of the last layer. A padded position repeats the last state of its
  /// row.
  Var states;
  /// [layers D, B, H]: the state of each direction after the last step of each row. Forward comes
  /// before backward, as in PyTorch.
  Var last;
  /// The cell states of an LSTM after the last step, laid out like `last`.
  Var last_cells;
};

/// Stacked, optionally bidirectional gated recurrent units over padded batches, as torch.nn.GRU
/// with batch_first. The result for a sentence does not depend on its padding (NaN included). It
/// may depend on the other sentences of the batch in the last bit. The reason is that a product of
/// one row sums in another order than a product of several rows.
struct GRU {
  std::vector<RecurrentWeights> forward;   ///< one entry per layer
  std::vector<RecurrentWeights> backward;  ///< one entry per layer; empty unless bidirectional
  double dropout = 0;

  GRU() = default;
  GRU(int64_t in, int64_t hidden, Key key, const RecurrentOptions& options = {});

  int64_t hidden() const { return forward.at(0).hidden(); }
  /// Runs over x [B, T, in] with lengths int32 [B], or an empty Var for none. Initial states are
  /// zero. Throws Error if the sequences have no step. Throws Error at run time if a length is
  /// outside 0 .. T.
  RecurrentOutput operator()(const Arg& x, const Var& lengths = {}) const;
  void visit(auto&& f) {
    f("forward", forward);
    f("backward", backward);
  }
};

/// Stacked, optionally bidirectional long short-term memories, as torch.nn.LSTM with batch_first.
/// Padding and batching behave as for GRU.
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

}  // namespace v0
}  // namespace rapt
