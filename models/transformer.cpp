#include "models/transformer.hpp"

#include <fmt/format.h>

#include <cmath>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/graph/scope.hpp"
#include "models/layers/ids.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Initialises with normal weights and zero bias (Radford et al. 2019).
void start_as_gpt(Linear& linear, double stddev, Key key) {
  linear.weight.set(normal(key, linear.weight.shape(), 0, stddev));
  if (linear.bias) linear.bias.set(zeros(linear.bias.shape()));
}

/// Returns an output layer that shares the table of an embedding as its weight.
Linear tied_output(const Embedding& embedding, const Parameter& bias) {
  Linear output;
  output.weight = embedding.weight;
  output.bias = bias;
  return output;
}

/// Residual connection x + dropout(sublayer(x)). The norm is applied to the input of the sublayer
/// or to the sum.
template <class Sublayer>
Var residual(const Var& x, const Norm& norm, const Dropout& dropout, bool norm_first,
             Sublayer&& sublayer) {
  if (norm_first) return x + dropout(sublayer(norm(x)));
  return norm(x + dropout(sublayer(x)));
}

}  // namespace

FeedForward::FeedForward(int64_t width, int64_t inner, Key key, const FeedForwardOptions& o)
    : dropout{o.dropout} {
  check_at_least("FeedForward", "width", width, 1);
  check_at_least("FeedForward", "inner", inner, 1);
  check_share("FeedForward", "dropout", o.dropout);
  const LinearOptions active{.activation = o.activation};
  up = Linear(width, inner, key.fold(0), o.gated ? LinearOptions{} : active);
  down = Linear(inner, width, key.fold(1));
  up.start_as_glorot(key.fold(2));
  down.start_as_glorot(key.fold(3));
  if (o.gated) gate.emplace(width, inner, key.fold(4), active).start_as_glorot(key.fold(5));
}

Var FeedForward::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return down(dropout(gate ? (*gate)(x)*up(x) : up(x)));
}

// ---- layers -------------------------------------------------------------------------------------

namespace {

MultiHeadAttention self_attention_of(const TransformerLayerOptions& o, Key key) {
  return {o.width,
          o.heads,
          key,
          {.dropout = o.dropout, .key_heads = o.key_heads, .positions = o.positions}};
}

FeedForward feed_forward_of(const TransformerLayerOptions& o, Key key) {
  return {o.width,
          o.feed_forward,
          key,
          {.activation = o.activation, .gated = o.gated, .dropout = o.dropout}};
}

}  // namespace

EncoderLayer::EncoderLayer(const TransformerLayerOptions& o, Key key)
    : self_attention(self_attention_of(o, key.fold(0))),
      feed_forward(feed_forward_of(o, key.fold(1))),
      norm1(o.width, o.norm),
      norm2(o.width, o.norm),
      dropout{o.dropout},
      norm_first(o.norm_first) {}

Var EncoderLayer::operator()(const Arg& x, const Mask& mask) const {
  return with(x, [&](const Var& y) { return self_attention(y, mask); });
}

Var EncoderLayer::with(const Arg& x, FunctionRef<Var(const Var&)> self) const {
  const Scope scope(*this, x.where);
  const Var seen = residual(as_var(x), norm1, dropout, norm_first, self);
  return residual(seen, norm2, dropout, norm_first, feed_forward);
}

DecoderLayer::DecoderLayer(const TransformerLayerOptions& o, Key key)
    : self_attention(self_attention_of(o, key.fold(0))),
      cross_attention(o.width, o.heads, key.fold(1),
                      {.dropout = o.dropout, .key_heads = o.key_heads}),
      feed_forward(feed_forward_of(o, key.fold(2))),
      norm1(o.width, o.norm),
      norm2(o.width, o.norm),
      norm3(o.width, o.norm),
      dropout{o.dropout},
      norm_first(o.norm_first) {}

Var DecoderLayer::operator()(const Arg& x, const Arg& memory, const Mask& mask,
                             const Mask& memory_mask) const {
  return with(
      x, [&](const Var& y) { return self_attention(y, mask); },
      [&](const Var& y) { return cross_attention(y, memory, memory_mask); });
}

Var DecoderLayer::with(const Arg& x, FunctionRef<Var(const Var&)> self,
                       FunctionRef<Var(const Var&)> cross) const {
  const Scope scope(*this, x.where);
  const Var seen = residual(as_var(x), norm1, dropout, norm_first, self);
  const Var informed = residual(seen, norm2, dropout, norm_first, cross);
  return residual(informed, norm3, dropout, norm_first, feed_forward);
}

// ---- models -------------------------------------------------------------------------------------

namespace {

/// Checks the options that all models of this file have.
template <class Options>
void check_common(const char* op, const Options& o) {
  check_at_least(op, "width", o.width, 1);
  check_at_least(op, "heads", o.heads, 1);
  check_at_least(op, "key_heads", o.key_heads, 0);
  check_share(op, "dropout", o.dropout);
  if (o.width % o.heads != 0) {
    throw Error({.op = op,
                 .detail = fmt::format("{} heads do not divide a width of {}", o.heads, o.width)});
  }
  if (o.key_heads > 0 && o.heads % o.key_heads != 0) {
    throw Error({.op = op,
                 .detail = fmt::format("{} heads cannot share {} of keys and values", o.heads,
                                       o.key_heads)});
  }
  const bool limited = o.positions == PositionKind::sinusoidal ||
                       o.positions == PositionKind::learned || o.positions == PositionKind::rotary;
  if (limited) check_at_least(op, "max_length", o.max_length, 1);
  if (o.positions == PositionKind::rotary && o.width / o.heads % 2 != 0) {
    throw Error({.op = op,
                 .detail = fmt::format("rotary positions need an even width of a head, got {} / {}",
                                       o.width, o.heads)});
  }
}

const TransformerDecoderOptions& checked(const TransformerDecoderOptions& o) {
  const char* const op = "TransformerDecoder";
  check_at_least(op, "vocab", o.vocab, 1);
  check_at_least(op, "layers", o.layers, 0);
  check_at_least(op, "feed_forward", o.feed_forward, 1);
  check_common(op, o);
  return o;
}

TransformerDecoderOptions decoder_options(const TransformerOptions& o) {
  const char* const op = "Transformer";
  check_at_least(op, "source_vocab", o.source_vocab, 1);
  check_at_least(op, "target_vocab", o.target_vocab, 1);
  check_at_least(op, "encoder_layers", o.encoder_layers, 0);
  check_at_least(op, "decoder_layers", o.decoder_layers, 0);
  check_at_least(op, "feed_forward", o.feed_forward, 1);
  check_common(op, o);
  return {.vocab = o.target_vocab,
          .width = o.width,
          .heads = o.heads,
          .key_heads = o.key_heads,
          .layers = o.decoder_layers,
          .feed_forward = o.feed_forward,
          .dropout = o.dropout,
          .activation = o.activation,
          .gated = o.gated,
          .norm = o.norm,
          .norm_first = o.norm_first,
          .positions = o.positions,
          .tied = o.tying != Tying::none,
          .max_length = o.max_length};
}

const GptOptions& checked(const GptOptions& o) {
  const char* const op = "Gpt";
  check_at_least(op, "vocab", o.vocab, 1);
  check_at_least(op, "layers", o.layers, 0);
  check_at_least(op, "feed_forward", o.feed_forward, 0);
  check_common(op, o);
  return o;
}

template <class Options>
RelativePositionOptions relative_options(const Options& o) {
  return {
      .kind = o.positions, .heads = o.heads, .depth = o.width / o.heads, .length = o.max_length};
}

}  // namespace

TransformerDecoder::TransformerDecoder(const TransformerDecoderOptions& o, Key key)
    : target_embedding(checked(o).vocab, o.width, key.fold(1),
                       {.stddev = 1 / std::sqrt(static_cast<double>(o.width))}),
      target_positions(o.positions, o.max_length, o.width, key.fold(3)),
      decoder_norm(o.width, o.norm),
      output(o.tied ? tied_output(target_embedding, Parameter(zeros({o.vocab})))
                    : Linear(o.width, o.vocab, key.fold(6))),
      dropout{o.dropout} {
  RelativePositionOptions relative = relative_options(o);
  relative.bidirectional = false;
  const TransformerLayerOptions layer{.width = o.width,
                                      .heads = o.heads,
                                      .key_heads = o.key_heads,
                                      .feed_forward = o.feed_forward,
                                      .dropout = o.dropout,
                                      .activation = o.activation,
                                      .gated = o.gated,
                                      .norm = o.norm,
                                      .norm_first = o.norm_first,
                                      .positions = RelativePositions(relative)};
  for (int64_t i = 0; i < o.layers; ++i) {
    decoder.emplace_back(layer, key.fold(5).fold(static_cast<uint64_t>(i)));
  }
}

Var TransformerDecoder::embed(const Embedding& embedding, const Positions& positions,
                              const Arg& ids) const {
  const double scale = std::sqrt(static_cast<double>(embedding.width()));
  return dropout(positions(embedding(ids) * scale));
}

Var TransformerDecoder::decode(const Encoded& encoded, const Arg& target_in) const {
  const Scope scope(*this, target_in.where);
  const Arg ids = checked_ids("TransformerDecoder::decode", "target_in", target_in);
  Var x = embed(target_embedding, target_positions, ids);  // [B K, T, C]
  const int64_t B = encoded.memory.size(0);
  if (B == 0 || x.size(0) % B != 0) {
    fail("TransformerDecoder::decode",
         fmt::format("{} rows are no multiple of {} memories", x.size(0), B),
         Scope::current()->where());
  }
  const Shape rows = x.shape();
  const Shape queries{B, rows[0] / B * rows[1], rows[2]};
  const Mask mask = encoded.lengths.is_empty() ? Mask() : lengths(encoded.lengths);
  for (const DecoderLayer& layer : decoder) {
    x = layer.with(
        x, [&](const Var& y) { return layer.self_attention(y, causal()); },
        [&](const Var& y) {
          if (rows[0] == B) return layer.cross_attention(y, encoded.memory, mask);
          // Fold all rows of a memory into its query axis.
          return reshape(layer.cross_attention(reshape(y, queries), encoded.memory, mask), rows);
        });
  }
  return output(decoder_norm(x));
}

Transformer::Transformer(const TransformerOptions& o, Key key)
    : TransformerDecoder(decoder_options(o), key),
      source_embedding(o.source_vocab, o.width, key.fold(0),
                       {.stddev = 1 / std::sqrt(static_cast<double>(o.width))}),
      source_positions(o.positions, o.max_length, o.width, key.fold(2)),
      encoder_norm(o.width, o.norm),
      pad(o.pad) {
  if (o.tying == Tying::all) {
    if (o.source_vocab != o.target_vocab) {
      throw Error({.op = "Transformer",
                   .detail = fmt::format("Tying::all needs one vocabulary, got {} and {} words",
                                         o.source_vocab, o.target_vocab)});
    }
    target_embedding = source_embedding;
    output.weight = source_embedding.weight;
  }
  const TransformerLayerOptions layer{.width = o.width,
                                      .heads = o.heads,
                                      .key_heads = o.key_heads,
                                      .feed_forward = o.feed_forward,
                                      .dropout = o.dropout,
                                      .activation = o.activation,
                                      .gated = o.gated,
                                      .norm = o.norm,
                                      .norm_first = o.norm_first,
                                      .positions = RelativePositions(relative_options(o))};
  for (int64_t i = 0; i < o.encoder_layers; ++i) {
    encoder.emplace_back(layer, key.fold(4).fold(static_cast<uint64_t>(i)));
  }
}

Transformer::Encoded Transformer::encode(const Arg& source) const {
  const Scope scope(*this, source.where);
  const Arg ids = checked_ids("Transformer", "source", source);  // [B, S]
  Encoded encoded;
  encoded.lengths = sum(ne(ids, pad), {1});                // [B]
  Var x = embed(source_embedding, source_positions, ids);  // [B, S, C]
  const Mask mask = lengths(encoded.lengths);
  for (const EncoderLayer& layer : encoder) x = layer(x, mask);
  encoded.memory = encoder_norm(x);
  return encoded;
}

Var Transformer::operator()(const Arg& source, const Arg& target_in) const {
  const Scope scope(*this, source.where);
  const SentencePairs ids = checked_pairs("Transformer", source, target_in);
  return decode(encode(ids.source), ids.target);
}

Gpt::Gpt(const GptOptions& o, Key key)
    : embedding(checked(o).vocab, o.width, key.fold(0), {.stddev = 0.02}),
      positions(o.positions, o.max_length, o.width, key.fold(1)),
      norm(o.width, o.norm),
      dropout{o.dropout} {
  if (o.tied) {
    output = tied_output(embedding, {});
  } else {
    output = Linear(o.width, o.vocab, key.fold(2), {.bias = false});
    start_as_gpt(output, 0.02, key.fold(3));
  }
  RelativePositionOptions relative = relative_options(o);
  relative.bidirectional = false;
  const TransformerLayerOptions layer{
      .width = o.width,
      .heads = o.heads,
      .key_heads = o.key_heads,
      .feed_forward = o.feed_forward > 0 ? o.feed_forward : 4 * o.width,
      .dropout = o.dropout,
      .activation = o.activation,
      .gated = o.gated,
      .norm = o.norm,
      .norm_first = true,
      .positions = RelativePositions(relative)};
  // The 2 L layers that add to the residual stream start smaller by sqrt(2 L).
  const double added = 0.02 / std::sqrt(2.0 * static_cast<double>(o.layers));
  for (int64_t i = 0; i < o.layers; ++i) {
    const Key own = key.fold(4).fold(static_cast<uint64_t>(i));
    EncoderLayer& l = layers.emplace_back(layer, own);
    start_as_gpt(l.self_attention.in_proj, 0.02, own.fold(2));
    start_as_gpt(l.self_attention.out_proj, added, own.fold(3));
    start_as_gpt(l.feed_forward.up, 0.02, own.fold(4));
    start_as_gpt(l.feed_forward.down, added, own.fold(5));
    if (l.feed_forward.gate) start_as_gpt(*l.feed_forward.gate, 0.02, own.fold(6));
  }
}

Var Gpt::operator()(const Arg& ids) const {
  const Scope scope(*this, ids.where);
  // [B, T] -> [B, T, C]
  Var x = dropout(positions(embedding(checked_ids("Gpt", "ids", ids))));
  for (const EncoderLayer& layer : layers) x = layer(x, causal());
  return output(norm(x));
}

}  // namespace v0
}  // namespace rapt
