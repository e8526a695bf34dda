// Attention with several heads, the layers made of it, and two models: Transformer and Gpt.
//
// Arrays are [B, T, C]: batch, place, width. Names and starting values follow PyTorch, so that
// weights can be taken over: in_proj/weight is in_proj_weight, up and down are linear1 and linear2.
#pragma once

#include <array>
#include <rapt/framework/function_ref.hpp>
#include <rapt/models/linear.hpp>
#include <rapt/ops/cached_attention.hpp>
#include <rapt/ops/mask.hpp>
#include <vector>

namespace rapt {

/// Where the rows of a decoding step find what was before, see cached_attention().
struct CachePlace {
  Var ancestors;  // int32 [R, T]
  Var place;      // int32 [1]
};

/// Keys and values of sentences, computed once, and which sentence rows look at: see
/// shared_attention().
struct SharedMemory {
  Var keys, values;  // [B, S, H, D]
  Var sentences;     // int32 [L]
  Var lengths;       // int32 [B]
};

/// Attention with several heads (Vaswani et al. 2017, section 3.2.2), torch.nn.MultiheadAttention
/// with batch_first.
struct MultiHeadAttention {
  Linear in_proj;   // [3C, C]: queries, keys, values
  Linear out_proj;  // [C, C]
  int64_t heads = 1;
  double dropout = 0;  // of the weights

  MultiHeadAttention() = default;
  /// Throws Error where `heads` does not divide `width`.
  MultiHeadAttention(int64_t width, int64_t heads, Key key, double dropout = 0);

  int64_t width() const { return out_proj.in(); }
  /// x [B, T, C] looks at itself; one product gives queries, keys and values.
  Var operator()(const Arg& x, const Mask& mask = {}) const;
  /// x [B, T, C] looks at memory [B, S, C].
  Var operator()(const Arg& x, const Arg& memory, const Mask& mask = {}) const;

  /// Decoding, a place a call: x [R, C] looks at itself and what the cache holds -> [R, C].
  Var step(const Arg& x, const KeyValueCache& cache, const CachePlace& at) const;
  /// The keys and values of a memory [B, S, C], each [B, S, H, D].
  std::array<Var, 2> keys_values(const Arg& memory) const;
  /// x [R, C], rows of several sentences, looks at the keys and values of its own.
  Var step(const Arg& x, const SharedMemory& memory) const;
  void visit(auto&& f) {
    f("in_proj", in_proj);
    f("out_proj", out_proj);
  }
};

/// down(dropout(activation(up(x)))), place by place.
struct FeedForward {
  Linear up;    // [F, C]
  Linear down;  // [C, F]
  Dropout dropout;

  FeedForward() = default;
  FeedForward(int64_t width, int64_t inner, Activation activation, Key key, double dropout = 0);

  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("up", up);
    f("down", down);
  }
};

struct TransformerLayerOptions {
  int64_t width = 512;
  int64_t heads = 8;
  int64_t feed_forward = 2048;
  /// Of attention weights, of the inner layer and of what is added to x.
  double dropout = 0.1;
  Activation activation = Activation::relu;
  /// Normalises what a sublayer reads (Xiong et al. 2020) instead of what it gives.
  bool norm_first = false;
};

/// Self-attention and a feed-forward layer, torch.nn.TransformerEncoderLayer.
struct EncoderLayer {
  MultiHeadAttention self_attention;
  FeedForward feed_forward;
  LayerNorm norm1, norm2;
  Dropout dropout;
  bool norm_first = false;

  EncoderLayer() = default;
  EncoderLayer(const TransformerLayerOptions& options, Key key);

  /// x [B, T, C] -> the same shape.
  Var operator()(const Arg& x, const Mask& mask = {}) const;
  /// The same with attention given as a function, [.., C] -> the same shape.
  Var with(const Arg& x, FunctionRef<Var(const Var&)> self) const;
  void visit(auto&& f) {
    f("self_attention", self_attention);
    f("feed_forward", feed_forward);
    f("norm1", norm1);
    f("norm2", norm2);
  }
};

/// The same with attention to a memory in between, torch.nn.TransformerDecoderLayer.
struct DecoderLayer {
  MultiHeadAttention self_attention;
  MultiHeadAttention cross_attention;
  FeedForward feed_forward;
  LayerNorm norm1, norm2, norm3;
  Dropout dropout;
  bool norm_first = false;

  DecoderLayer() = default;
  DecoderLayer(const TransformerLayerOptions& options, Key key);

  /// x [B, T, C], memory [B, S, C] -> [B, T, C].
  Var operator()(const Arg& x, const Arg& memory, const Mask& mask, const Mask& memory_mask) const;
  /// The same with both attentions given as functions, [.., C] -> the same shape.
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

/// [length, width]: sin(t / 10000^(2i / width)) at column 2i, the cosine at 2i + 1 (Vaswani et al.
/// 2017, section 3.5).
Tensor sinusoidal_positions(int64_t length, int64_t width);

enum class PositionKind { sinusoidal, learned };

/// Adds to every place what tells it from the others.
struct Positions {
  Tensor table;      // [length, C]; of sinusoids
  Parameter weight;  // [length, C]; learned

  Positions() = default;
  Positions(PositionKind kind, int64_t length, int64_t width, Key key);

  /// x [B, T, C] -> the same shape. Throws Error where T is above the length.
  Var operator()(const Arg& x) const;
  /// x [R, C], all at one place, int32 [1] -> the same shape. Throws Error, when it is computed,
  /// for a place above the length.
  Var at(const Arg& x, const Arg& place) const;
  int64_t length() const { return weight ? weight.shape()[0] : table.shape()[0]; }
  void visit(auto&& f) { f("weight", weight); }
};

/// Which tables of a model are one (Press and Wolf 2017): none, the target embedding and the output
/// layer's weight, or these and the source embedding (for a joint vocabulary).
enum class Tying { none, output, all };

struct TransformerOptions {
  int64_t source_vocab = 0;
  int64_t target_vocab = 0;
  int64_t width = 512;
  int64_t heads = 8;
  int64_t encoder_layers = 6;
  int64_t decoder_layers = 6;
  int64_t feed_forward = 2048;
  double dropout = 0.1;
  Activation activation = Activation::relu;
  bool norm_first = false;
  PositionKind positions = PositionKind::sinusoidal;
  Tying tying = Tying::none;
  int64_t max_length = 512;  // the most places of a sentence
  int32_t pad = 0;           // the token that fills up short sentences
};

/// The encoder-decoder of Vaswani et al. (2017): torch.nn.Transformer, with its norms at the end of
/// both stacks, between embeddings scaled by sqrt(C) and an output layer. Tied tables are one
/// parameter, under the name of the first: it is saved, counted and updated once.
struct Transformer {
  Embedding source_embedding;
  Embedding target_embedding;
  Positions source_positions;
  Positions target_positions;
  std::vector<EncoderLayer> encoder;
  std::vector<DecoderLayer> decoder;
  LayerNorm encoder_norm;
  LayerNorm decoder_norm;
  Linear output;  // [V, C]
  Dropout dropout;
  int32_t pad = 0;

  Transformer() = default;
  /// Throws Error where tables of different sizes are to be one.
  Transformer(const TransformerOptions& options, Key key);

  /// What the encoder makes of a batch, computed once for all decoder steps.
  struct Encoded {
    Var memory;   // [B, S, C]
    Var lengths;  // int32 [B]
  };
  /// source int32 [B, S], padded at the end.
  Encoded encode(const Arg& source) const;
  /// target_in int32 [B, T], padded at the end -> logits [B, T, V]. A place sees itself and those
  /// before it.
  Var decode(const Encoded& encoded, const Arg& target_in) const;

  /// Teacher forcing: source int32 [B, S], target_in int32 [B, T] -> logits [B, T, V].
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

 private:
  Var embed(const Embedding& embedding, const Positions& positions, const Arg& ids) const;
};

struct GptOptions {
  int64_t vocab = 0;
  int64_t width = 128;
  int64_t heads = 4;
  int64_t layers = 4;
  int64_t feed_forward = 0;  // 0: four times the width
  double dropout = 0;
  bool tied = false;        // the output layer's weight is the embedding's table
  int64_t max_length = 64;  // the most places of a text
};

/// A decoder alone: learned positions, normalisation first, GELU, an output layer without bias
/// (Radford et al. 2019), started as there.
struct Gpt {
  Embedding embedding;
  Positions positions;
  std::vector<EncoderLayer> layers;
  LayerNorm norm;
  Linear output;  // [V, C], without bias
  Dropout dropout;

  Gpt() = default;
  Gpt(const GptOptions& options, Key key);

  int64_t max_length() const { return positions.weight.shape()[0]; }
  /// ids int32 [B, T] -> logits [B, T, V] of the tokens that follow.
  Var operator()(const Arg& ids) const;
  void visit(auto&& f) {
    f("embedding", embedding);
    f("positions", positions);
    f("layers", layers);
    f("norm", norm);
    f("output", output);
  }
};

}  // namespace rapt
