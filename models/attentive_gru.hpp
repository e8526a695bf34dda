// A decoder of gated recurrent units that looks at a memory, whatever was read into it.
#pragma once

#include <optional>

#include "framework/core/api.hpp"
#include "models/layers/attention.hpp"
#include "models/layers/recurrent.hpp"

namespace rapt RAPT_API {

/// dot: by products with a projected memory, Luong's "general".
enum class AttentionKind { none, additive, dot };

struct AttentiveGruOptions {
  int64_t vocab = 0;
  int64_t memory = 0;    // width of the memory
  int64_t embed = 256;   // width of the embeddings
  int64_t hidden = 512;  // width of a state
  AttentionKind attention = AttentionKind::additive;
  bool gate = false;    // see AttentiveGru::gate
  int64_t readout = 0;  // width of a tanh layer before the output; 0: none
  double dropout = 0;   // of embeddings and of what the output layer reads
};

/// The decoder of Bahdanau et al. (2015): every step looks at the memory, or without attention has
/// one context for all steps. Models with an encoder of their own are derived from it.
struct AttentiveGru {
  Embedding target_embedding;
  std::optional<AdditiveAttention> additive;
  std::optional<GeneralAttention> dot;
  /// How much of the context a step uses: it is multiplied by the sigmoid of one number made of the
  /// state (Xu et al. 2015, section 4.2.1).
  std::optional<Linear> gate;
  RecurrentWeights decoder;  // reads [embedding, context]
  std::optional<Linear> readout;
  Linear output;
  Dropout dropout;

  AttentiveGru() = default;
  AttentiveGru(const AttentiveGruOptions& options, Key key);

  /// What an encoder makes of a batch, computed once for all decoder steps.
  struct Encoded {
    Var memory;   // [B, S, M]
    Var keys;     // [B, S, H]; empty without attention
    Var context;  // [B, M]: the context where there is no attention, else not read
    Var state;    // [B, H]: the decoder's first state
    Var lengths;  // int32 [B]; empty: all S
  };
  /// The keys of a memory; empty without attention.
  Var keys(const Var& memory) const;

  struct Step {
    Var logits;   // [B, V]
    Var state;    // [B, H]
    Var weights;  // [B, S]; empty without attention
  };
  /// One step of decoding: the tokens before it, int32 [B], and the state, [B, H]. With W rows a
  /// sentence, one after the other (a beam), tokens are [B W], states [B W, H], and so is the rest.
  Step step(const Encoded& encoded, const Arg& tokens, const Arg& state) const;
  /// Teacher forcing: target_in int32 [B W, T] -> logits [B W, T, V], with rows as for step().
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

}  // namespace rapt
