// Sequence to sequence with gated recurrent units, with and without attention.
#pragma once

#include <optional>
#include <rapt/models/attention.hpp>
#include <rapt/models/recurrent.hpp>

namespace rapt {

/// dot: by products with a projected memory, Luong's "general".
enum class AttentionKind { none, additive, dot };

struct Seq2SeqOptions {
  int64_t source_vocab = 0;
  int64_t target_vocab = 0;
  int64_t embed = 256;   // width of the embeddings
  int64_t hidden = 512;  // width of a state; the encoder has one in each direction
  AttentionKind attention = AttentionKind::additive;
  int64_t readout = 0;  // width of a tanh layer before the output; 0: none
  double dropout = 0;   // of embeddings and of what the output layer reads
  int32_t pad = 0;      // the token that fills up short sentences
};

/// A bidirectional GRU reads the source; a GRU writes the target. With attention (Bahdanau et al.
/// 2015) every step looks at all source states; without (Cho et al. 2014) the encoder's two last
/// states are the one context of every step.
struct GruSeq2Seq {
  Embedding source_embedding;
  Embedding target_embedding;
  GRU encoder;
  Linear bridge;  // from the encoder's last backward state to the decoder's first
  std::optional<AdditiveAttention> additive;
  std::optional<GeneralAttention> dot;
  RecurrentWeights decoder;  // reads [embedding, context]
  std::optional<Linear> readout;
  Linear output;
  Dropout dropout;
  int32_t pad = 0;

  GruSeq2Seq() = default;
  GruSeq2Seq(const Seq2SeqOptions& options, Key key);

  /// What the encoder makes of a batch, computed once for all decoder steps.
  struct Encoded {
    Var memory;   // [B, S, 2H]
    Var keys;     // [B, S, H]; empty without attention
    Var context;  // [B, 2H]: the last states; the context where there is no attention
    Var state;    // [B, H]: the decoder's first state
    Var lengths;  // int32 [B]
  };
  /// source int32 [B, S], padded at the end.
  Encoded encode(const Arg& source) const;

  struct Step {
    Var logits;   // [B, V]
    Var state;    // [B, H]
    Var weights;  // [B, S]; empty without attention
  };
  /// One step of decoding: the tokens before it, int32 [B], and the state, [B, H]. With W rows a
  /// sentence, one after the other (a beam), tokens are [B W], states [B W, H], and so is the rest.
  Step step(const Encoded& encoded, const Arg& tokens, const Arg& state) const;

  /// Teacher forcing: source int32 [B, S], target_in int32 [B, T] -> logits [B, T, V].
  Var operator()(const Arg& source, const Arg& target_in) const;

  void visit(auto&& f) {
    f("source_embedding", source_embedding);
    f("target_embedding", target_embedding);
    f("encoder", encoder);
    f("bridge", bridge);
    f("attention", additive);
    f("attention", dot);
    f("decoder", decoder);
    f("readout", readout);
    f("output", output);
  }

 private:
  Attended look(const Encoded& encoded, const Var& state) const;
  Var logits_of(std::initializer_list<Var> parts) const;
};

}  // namespace rapt
