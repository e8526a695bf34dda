// Transformer layers and models: encoder and decoder layers, Transformer, its decoder alone, and
// Gpt.
//
// Arrays are [B, T, C]: batch, position, width. Names and initial values follow PyTorch, so that
// its weights can be loaded. in_proj/weight is in_proj_weight; up and down are linear1 and linear2.
#pragma once

#include <optional>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/function_ref.hpp"
#include "models/layers/multi_head.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct FeedForwardOptions {
  Activation activation = Activation::relu;
  /// True: compute activation(gate(x)) * up(x) instead of activation(up(x)) (Shazeer 2020). With
  /// silu this is SwiGLU, with gelu it is GEGLU.
  bool gated = false;
  double dropout = 0;
};

/// Feed-forward layer: down(dropout(activation(up(x)))), applied at each position separately.
struct FeedForward {
  Linear up;                   ///< [F, C]
  Linear down;                 ///< [C, F]
  std::optional<Linear> gate;  ///< [F, C]
  Dropout dropout;

  FeedForward() = default;
  FeedForward(int64_t width, int64_t inner, Key key, const FeedForwardOptions& options = {});

  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("up", up);
    f("down", down);
    f("gate", gate);
  }
};

struct TransformerLayerOptions {
  int64_t width = 512;
  int64_t heads = 8;
  int64_t key_heads = 0;  ///< see MultiHeadOptions
  int64_t feed_forward = 2048;
  /// Dropout of the attention weights, of the inner layer, and of each sublayer's output.
  double dropout = 0.1;
  Activation activation = Activation::relu;
  bool gated = false;  ///< see FeedForwardOptions
  NormKind norm = NormKind::layer;
  /// True: normalise the input of each sublayer (Xiong et al. 2020). False: normalise the sum after
  /// it.
  bool norm_first = false;
  /// Relative positions, used by self-attention only.
  RelativePositions positions = {};
};

/// Self-attention and a feed-forward layer, as torch.nn.TransformerEncoderLayer.
struct EncoderLayer {
  MultiHeadAttention self_attention;
  FeedForward feed_forward;
  Norm norm1, norm2;
  Dropout dropout;
  bool norm_first = false;

  EncoderLayer() = default;
  EncoderLayer(const TransformerLayerOptions& options, Key key);

  /// x [B, T, C] -> the same shape.
  Var operator()(const Arg& x, const Mask& mask = {}) const;
  /// Applies the layer with `self` in place of self-attention. x is [.., C]; the result has the
  /// same shape.
  Var with(const Arg& x, FunctionRef<Var(const Var&)> self) const;
  void visit(auto&& f) {
    f("self_attention", self_attention);
    f("feed_forward", feed_forward);
    f("norm1", norm1);
    f("norm2", norm2);
  }
};

/// Self-attention, attention to a memory, and a feed-forward layer, as
/// torch.nn.TransformerDecoderLayer.
struct DecoderLayer {
  MultiHeadAttention self_attention;
  MultiHeadAttention cross_attention;
  FeedForward feed_forward;
  Norm norm1, norm2, norm3;
  Dropout dropout;
  bool norm_first = false;

  DecoderLayer() = default;
  DecoderLayer(const TransformerLayerOptions& options, Key key);

  /// x [B, T, C], memory [B, S, C] -> [B, T, C].
  Var operator()(const Arg& x, const Arg& memory, const Mask& mask, const Mask& memory_mask) const;
  /// Applies the layer with functions in place of both attentions. x is [.., C]; the result has the
  /// same shape.
  Var with(const Arg& x, FunctionRef<Var(const Var&)> self,
           FunctionRef<Var(const Var&)> cross) const;
  void visit(auto&& f) {
    f("self_attention", self_attention);
    f("cross_attention", cross_attention);
    f("feed_forward", feed_forward);
    f("norm1", norm1);
    f("norm2", norm2);
    f("norm3", norm3);
  }
};

/// Weight tying (Press and Wolf 2017). `output` shares the target embedding with the output layer's
/// weight. `all` also shares the source embedding; it needs a joint vocabulary.
enum class Tying { none, output, all };

struct TransformerDecoderOptions {
  int64_t vocab = 0;
  int64_t width = 512;
  int64_t heads = 8;
  int64_t key_heads = 0;  ///< see MultiHeadOptions
  int64_t layers = 6;
  int64_t feed_forward = 2048;
  double dropout = 0.1;
  Activation activation = Activation::relu;
  bool gated = false;  ///< see FeedForwardOptions
  NormKind norm = NormKind::layer;
  bool norm_first = false;
  PositionKind positions = PositionKind::sinusoidal;
  bool tied = false;         ///< true: the output layer shares the embedding's table
  int64_t max_length = 512;  ///< maximum length of a sentence; ignored for none, alibi and t5
};

/// The decoder of Vaswani et al. (2017), over any memory: text, sound or pictures. A model with its
/// own encoder derives from it.
struct TransformerDecoder {
  Embedding target_embedding;
  Positions target_positions;
  std::vector<DecoderLayer> decoder;
  Norm decoder_norm;
  Linear output;  ///< [V, C]
  Dropout dropout;

  TransformerDecoder() = default;
  TransformerDecoder(const TransformerDecoderOptions& options, Key key);

  /// The output of an encoder for a batch. It is computed once for all decoder steps.
  struct Encoded {
    Var memory;   ///< [B, S, C]
    Var lengths;  ///< int32 [B]; empty: all S
  };
  /// Decodes with teacher forcing: target_in int32 [B K, T], padded at the end -> logits
  /// [B K, T, V]. Rows i K to i K + K - 1 belong to memory i and share its keys and values. A
  /// position attends to itself and to earlier ones. Throws Error if B does not divide the number
  /// of rows.
  Var decode(const Encoded& encoded, const Arg& target_in) const;

  void visit(auto&& f) {
    f("target_embedding", target_embedding);
    f("target_positions", target_positions);
    f("decoder", decoder);
    f("decoder_norm", decoder_norm);
    f("output", output);
  }

 protected:
  Var embed(const Embedding& embedding, const Positions& positions, const Arg& ids) const;
};

struct TransformerOptions {
  int64_t source_vocab = 0;
  int64_t target_vocab = 0;
  int64_t width = 512;
  int64_t heads = 8;
  int64_t key_heads = 0;  ///< see MultiHeadOptions
  int64_t encoder_layers = 6;
  int64_t decoder_layers = 6;
  int64_t feed_forward = 2048;
  double dropout = 0.1;
  Activation activation = Activation::relu;
  bool gated = false;  ///< see FeedForwardOptions
  NormKind norm = NormKind::layer;
  bool norm_first = false;
  PositionKind positions = PositionKind::sinusoidal;
  Tying tying = Tying::none;
  int64_t max_length = 512;  ///< maximum length of a sentence; ignored for none, alibi and t5
  int32_t pad = 0;           ///< the padding token
};

/// The encoder-decoder of Vaswani et al. (2017). It is torch.nn.Transformer, with a final norm on
/// both stacks, between embeddings scaled by sqrt(C) and an output layer. Tied tables are one
/// parameter, under the name of the first. That parameter is saved, counted and updated once.
struct Transformer : TransformerDecoder {
  Embedding source_embedding;
  Positions source_positions;
  std::vector<EncoderLayer> encoder;
  Norm encoder_norm;
  int32_t pad = 0;

  Transformer() = default;
  /// Throws Error for an option out of range, and if tables of different sizes are to be tied.
  Transformer(const TransformerOptions& options, Key key);

  /// Encodes source int32 [B, S], padded at the end.
  Encoded encode(const Arg& source) const;

  /// Encodes and decodes with teacher forcing: source int32 [B, S], target_in int32 [B, T] ->
  /// logits [B, T, V]. Throws Error for any other shape or type.
  Var operator()(const Arg& source, const Arg& target_in) const;

  void visit(auto&& f) {
    f("source_embedding", source_embedding);
    f("target_embedding", target_embedding);
    f("source_positions", source_positions);
    f("target_positions", target_positions);
    f("encoder", encoder);
    f("decoder", decoder);
    f("encoder_norm", encoder_norm);
    f("decoder_norm", decoder_norm);
    f("output", output);
  }
};

struct GptOptions {
  int64_t vocab = 0;
  int64_t width = 128;
  int64_t heads = 4;
  int64_t key_heads = 0;  ///< see MultiHeadOptions
  int64_t layers = 4;
  int64_t feed_forward = 0;  ///< 0: four times the width
  double dropout = 0;
  Activation activation = Activation::gelu;
  bool gated = false;  ///< see FeedForwardOptions
  NormKind norm = NormKind::layer;
  PositionKind positions = PositionKind::learned;
  bool tied = false;        ///< true: the output layer shares the embedding's table
  int64_t max_length = 64;  ///< maximum length of a text; ignored for none, alibi and t5
};

/// Decoder-only Transformer (Radford et al. 2019). It has learned positions, pre-normalisation,
/// GELU and an output layer without bias. Initial values follow the same paper. Options give its
/// successors: rotary positions, RMSNorm, SwiGLU and few key heads (Touvron et al. 2023), or T5's
/// biases.
struct Gpt {
  Embedding embedding;
  Positions positions;
  std::vector<EncoderLayer> layers;
  Norm norm;
  Linear output;  ///< [V, C], without bias
  Dropout dropout;

  Gpt() = default;
  Gpt(const GptOptions& options, Key key);

  int64_t max_length() const { return positions.length(); }
  /// ids int32 [B, T] -> logits [B, T, V] of the next tokens.
  Var operator()(const Arg& ids) const;
  void visit(auto&& f) {
    f("embedding", embedding);
    f("positions", positions);
    f("layers", layers);
    f("norm", norm);
    f("output", output);
  }
};

}  // namespace v0
}  // namespace rapt
