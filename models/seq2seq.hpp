// Sequence-to-sequence model with gated recurrent units, with or without attention.
#pragma once

#include "framework/core/api.hpp"
#include "models/attentive_gru.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct Seq2SeqOptions {
  int64_t source_vocab = 0;
  int64_t target_vocab = 0;
  int64_t embed = 256;   ///< width of the embeddings
  int64_t hidden = 512;  ///< width of the state; the encoder has one per direction
  AttentionKind attention = AttentionKind::additive;
  int64_t readout = 0;  ///< width of a tanh layer before the output; 0: none
  double dropout = 0;   ///< dropout of embeddings and of the output layer's input
  int32_t pad = 0;      ///< the padding token
};

/// A bidirectional GRU encoder and a GRU decoder. With attention (Bahdanau et al. 2015) every step
/// attends to all encoder states. Without it (Cho et al. 2014) the encoder's two last states are
/// the context of every step.
struct GruSeq2Seq : AttentiveGru {
  Embedding source_embedding;
  GRU encoder;
  Linear bridge;  ///< from the encoder's last backward state to the decoder's first
  int32_t pad = 0;

  GruSeq2Seq() = default;
  /// Throws Error for an option out of range.
  GruSeq2Seq(const Seq2SeqOptions& options, Key key);

  /// Encodes source int32 [B, S], padded at the end. The context is [B, 2H], the last states.
  Encoded encode(const Arg& source) const;
  /// Encodes and decodes with teacher forcing: source int32 [B, S], target_in int32 [B, T] ->
  /// logits [B, T, V]. Throws Error for any other shape or type.
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
};

}  // namespace v0
}  // namespace rapt
