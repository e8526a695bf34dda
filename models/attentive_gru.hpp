// A GRU decoder that attends to a memory of any kind.
#pragma once

#include <optional>

#include "framework/core/api.hpp"
#include "models/layers/attention.hpp"
#include "models/layers/recurrent.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// `dot` multiplies the state with a projected memory: Luong's "general".
enum class AttentionKind { none, additive, dot };

struct AttentiveGruOptions {
  int64_t vocab = 0;
  int64_t memory = 0;    ///< width of the memory
  int64_t embed = 256;   ///< width of the embeddings
  int64_t hidden = 512;  ///< width of the state
  AttentionKind attention = AttentionKind::additive;
  bool gate = false;    ///< see AttentiveGru::gate
  int64_t readout = 0;  ///< width of a tanh layer before the output; 0: none
  double dropout = 0;   ///< dropout of embeddings and of the output layer's input
};

/// The decoder of Bahdanau et al. (2015). Every step attends to the memory. Without attention, all
/// steps use one context. A model with its own encoder derives from it.
struct AttentiveGru {
  Embedding target_embedding;
  std::optional<AdditiveAttention> additive;
  std::optional<GeneralAttention> dot;
  /// Scales the context of a step by the sigmoid of one number that is computed from the state (Xu
  /// et al. 2015, section 4.2.1).
  std::optional<Linear> gate;
  RecurrentWeights decoder;  ///< reads [embedding, context]
  std::optional<Linear> readout;
  Linear output;
  Dropout dropout;

  AttentiveGru() = default;
  AttentiveGru(const AttentiveGruOptions& options, Key key);

  /// The output of an encoder for a batch. It is computed once for all decoder steps.
  struct Encoded {
    Var memory;   ///< [B, S, M]
    Var keys;     ///< [B, S, H]; empty without attention
    Var context;  ///< [B, M]: the context without attention; not read with attention
    Var state;    ///< [B, H]: the decoder's initial state
    Var lengths;  ///< int32 [B]; empty: all S
  };
  /// Returns the keys of a memory; empty without attention.
  Var keys(const Var& memory) const;

  struct Step {
    Var logits;   ///< [B, V]
    Var state;    ///< [B, H]
    Var weights;  ///< [B, S]; empty without attention
  };
  /// Decodes one step from the previous tokens, int32 [B], and the state, [B, H]. With W
  /// consecutive rows per sentence (a beam), tokens are [B W] and states [B W, H]. The results then
  /// have B W rows too.
  Step step(const Encoded& encoded, const Arg& tokens, const Arg& state) const;
  /// Decodes with teacher forcing: target_in int32 [B W, T] -> logits [B W, T, V]. Rows are ordered
  /// as for step().
  Var decode(const Encoded& encoded, const Arg& target_in) const;

  void visit(auto&& f) {
    f("target_embedding", target_embedding);
    f("attention", additive);
    f("attention", dot);
    f("gate", gate);
    f("decoder", decoder);
    f("readout", readout);
    f("output", output);
  }

 private:
  Attended look(const Encoded& encoded, const Var& state) const;
  Attended look_at_memory(const Encoded& encoded, const Var& state) const;
  Var logits_of(std::initializer_list<Var> parts) const;
};

}  // namespace v0
}  // namespace rapt
