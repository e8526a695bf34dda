#include <fmt/format.h>

#include <array>
#include <cmath>
#include <rapt/framework/error.hpp>
#include <rapt/framework/scope.hpp>
#include <rapt/models/transformer.hpp>
#include <rapt/ops/attention.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/embedding.hpp>
#include <rapt/ops/reduce.hpp>
#include <rapt/ops/shape.hpp>

namespace rapt {
namespace {

/// Weights uniform in +-sqrt(6 / (in + out)) (Glorot and Bengio 2010), as torch.nn.Transformer
/// starts every matrix.
void start_as_glorot(Linear& linear, Key key) {
  const double bound = std::sqrt(6 / static_cast<double>(linear.in() + linear.out()));
  linear.weight.set(uniform(key, linear.weight.shape(), -bound, bound));
}

/// Normal weights and no bias (Radford et al. 2019).
void start_as_gpt(Linear& linear, double stddev, Key key) {
  linear.weight.set(normal(key, linear.weight.shape(), 0, stddev));
  if (linear.bias) linear.bias.set(zeros(linear.bias.shape()));
}

/// An output layer whose weight is the table of an embedding.
Linear tied_output(const Embedding& embedding, const Parameter& bias) {
  Linear output;
  output.weight = embedding.weight;
  output.bias = bias;
  return output;
}

/// [B, T, n C] -> n arrays [B, H, T, C / H].
template <size_t n>
std::array<Var, n> split_heads(const Var& x, int64_t heads) {
  const int64_t count = static_cast<int64_t>(n);
  const int64_t depth = x.size(2) / (count * heads);
  const Var parts = reshape(x, {x.size(0), x.size(1), count, heads, depth});
  std::array<Var, n> result;
  for (size_t i = 0; i < n; ++i) {
    result[i] = transpose(select(parts, 2, static_cast<int64_t>(i)), 1, 2);
  }
  return result;
}

/// [B, H, T, D] -> [B, T, H D].
Var merge_heads(const Var& x) {
  return reshape(transpose(x, 1, 2), {x.size(0), x.size(2), x.size(1) * x.size(3)});
}

/// x + dropout(sublayer(x)), normalised before or after.
template <class Sublayer>
Var residual(const Var& x, const LayerNorm& norm, const Dropout& dropout, bool norm_first,
             Sublayer&& sublayer) {
  if (norm_first) return x + dropout(sublayer(norm(x)));
  return norm(x + dropout(sublayer(x)));
}

}  // namespace

// ---- attention and feed-forward -----------------------------------------------------------------

MultiHeadAttention::MultiHeadAttention(int64_t width, int64_t head_count, Key key, double p)
    : in_proj(width, 3 * width, key.fold(0)),
      out_proj(width, width, key.fold(1)),
      heads(head_count),
      dropout(p) {
  if (heads < 1 || width % heads != 0) {
    throw Error(
        fmt::format("MultiHeadAttention: {} heads do not divide a width of {}", heads, width));
  }
  start_as_glorot(in_proj, key.fold(2));
  start_as_glorot(out_proj, key.fold(3));
  in_proj.bias.set(zeros({3 * width}));
  out_proj.bias.set(zeros({width}));
}

Var MultiHeadAttention::operator()(const Arg& x, const Mask& mask) const {
  const Scope scope(*this, x.where);
  const auto [q, k, v] = split_heads<3>(in_proj(x), heads);  // [B, H, T, D]
  return out_proj(merge_heads(attention(q, k, v, {.mask = mask, .dropout = dropout})));
}

Var MultiHeadAttention::operator()(const Arg& x, const Arg& memory, const Mask& mask) const {
  const Scope scope(*this, x.where);
  const int64_t C = width();
  const Var weight = as_var(in_proj.weight), bias = as_var(in_proj.bias);
  const Var from_x = linear(x, slice(weight, 0, 0, C), slice(bias, 0, 0, C));      // [B, T, C]
  const Var from_memory = linear(memory, slice(weight, 0, C), slice(bias, 0, C));  // [B, S, 2C]
  const auto [q] = split_heads<1>(from_x, heads);                                  // [B, H, T, D]
  const auto [k, v] = split_heads<2>(from_memory, heads);                          // [B, H, S, D]
  return out_proj(merge_heads(attention(q, k, v, {.mask = mask, .dropout = dropout})));
}

Var MultiHeadAttention::step(const Arg& x, const KeyValueCache& cache, const CachePlace& at) const {
  const Scope scope(*this, x.where);
  const Var projected = in_proj(x);  // [R, 3C]
  const int64_t rows = projected.size(0), C = width();
  const Var parts = reshape(projected, {rows, 3, heads, C / heads});
  const Var y = cached_attention(select(parts, 1, 0), select(parts, 1, 1), select(parts, 1, 2),
                                 cache, at.ancestors, at.place);  // [R, H, D]
  return out_proj(reshape(y, {rows, C}));
}

std::array<Var, 2> MultiHeadAttention::keys_values(const Arg& memory) const {
  const Scope scope(*this, memory.where);
  const int64_t C = width();
  const Var both = linear(memory, slice(as_var(in_proj.weight), 0, C),
                          slice(as_var(in_proj.bias), 0, C));  // [B, S, 2C]
  const Var parts = reshape(both, {both.size(0), both.size(1), 2, heads, C / heads});
  return {select(parts, 2, 0), select(parts, 2, 1)};
}

Var MultiHeadAttention::step(const Arg& x, const SharedMemory& memory) const {
  const Scope scope(*this, x.where);
  const int64_t C = width();
  const Var q = linear(x, slice(as_var(in_proj.weight), 0, 0, C),
                       slice(as_var(in_proj.bias), 0, 0, C));  // [R, C]
  const Var y = shared_attention(reshape(q, {q.size(0), heads, C / heads}), memory.keys,
                                 memory.values, memory.sentences, memory.lengths);
  return out_proj(reshape(y, {q.size(0), C}));
}

FeedForward::FeedForward(int64_t width, int64_t inner, Activation activation, Key key, double p)
    : up(width, inner, key.fold(0), {.activation = activation}),
      down(inner, width, key.fold(1)),
      dropout{p} {
  start_as_glorot(up, key.fold(2));
  start_as_glorot(down, key.fold(3));
}

Var FeedForward::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return down(dropout(up(x)));
}

// ---- layers -------------------------------------------------------------------------------------

EncoderLayer::EncoderLayer(const TransformerLayerOptions& o, Key key)
    : self_attention(o.width, o.heads, key.fold(0), o.dropout),
      feed_forward(o.width, o.feed_forward, o.activation, key.fold(1), o.dropout),
      norm1(o.width),
      norm2(o.width),
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
    : self_attention(o.width, o.heads, key.fold(0), o.dropout),
      cross_attention(o.width, o.heads, key.fold(1), o.dropout),
      feed_forward(o.width, o.feed_forward, o.activation, key.fold(2), o.dropout),
      norm1(o.width),
      norm2(o.width),
      norm3(o.width),
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

// ---- positions ----------------------------------------------------------------------------------

Tensor sinusoidal_positions(int64_t length, int64_t width) {
  Tensor table({length, width});
  float* to = table.data<float>().data();
  for (int64_t t = 0; t < length; ++t) {
    for (int64_t i = 0; i < width; ++i) {
      const double power = static_cast<double>(i / 2 * 2) / static_cast<double>(width);
      const double angle = static_cast<double>(t) / std::pow(10000.0, power);
      *to++ = static_cast<float>(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return table;
}

Positions::Positions(PositionKind kind, int64_t length, int64_t width, Key key) {
  if (kind == PositionKind::sinusoidal) {
    table = sinusoidal_positions(length, width);
  } else {
    weight = Parameter(normal(key, {length, width}, 0, 0.02));
  }
}

Var Positions::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  const Var var = as_var(x);
  const Var all = weight ? as_var(weight) : as_var(table);
  if (var.size(1) > all.size(0)) {
    throw Error(fmt::format("positions: {} places in {}, there is room for {}; at {}", var.size(1),
                            to_string(var.shape()), all.size(0), to_string(scope.where())));
  }
  return var + slice(all, 0, 0, var.size(1));
}

Var Positions::at(const Arg& x, const Arg& place) const {
  const Scope scope(*this, x.where);
  return as_var(x) + embedding(place, weight ? as_var(weight) : as_var(table));  // [1, C] of it
}

// ---- models -------------------------------------------------------------------------------------

Transformer::Transformer(const TransformerOptions& o, Key key)
    : encoder_norm(o.width), decoder_norm(o.width), dropout{o.dropout}, pad(o.pad) {
  const EmbeddingOptions small{.stddev = 1 / std::sqrt(static_cast<double>(o.width))};
  if (o.tying == Tying::all && o.source_vocab != o.target_vocab) {
    throw Error(fmt::format("Transformer: Tying::all needs one vocabulary, got {} and {} words",
                            o.source_vocab, o.target_vocab));
  }
  source_embedding = Embedding(o.source_vocab, o.width, key.fold(0), small);
  target_embedding = o.tying == Tying::all ? source_embedding
                                           : Embedding(o.target_vocab, o.width, key.fold(1), small);
  source_positions = Positions(o.positions, o.max_length, o.width, key.fold(2));
  target_positions = Positions(o.positions, o.max_length, o.width, key.fold(3));
  const TransformerLayerOptions layer{.width = o.width,
                                      .heads = o.heads,
                                      .feed_forward = o.feed_forward,
                                      .dropout = o.dropout,
                                      .activation = o.activation,
                                      .norm_first = o.norm_first};
  for (int64_t i = 0; i < o.encoder_layers; ++i) {
    encoder.emplace_back(layer, key.fold(4).fold(static_cast<uint64_t>(i)));
  }
  for (int64_t i = 0; i < o.decoder_layers; ++i) {
    decoder.emplace_back(layer, key.fold(5).fold(static_cast<uint64_t>(i)));
  }
  output = o.tying == Tying::none
               ? Linear(o.width, o.target_vocab, key.fold(6))
               : tied_output(target_embedding, Parameter(zeros({o.target_vocab})));
}

Var Transformer::embed(const Embedding& embedding, const Positions& positions,
                       const Arg& ids) const {
  const double scale = std::sqrt(static_cast<double>(embedding.width()));
  return dropout(positions(embedding(ids) * scale));
}

Transformer::Encoded Transformer::encode(const Arg& source) const {
  const Scope scope(*this, source.where);
  const Var ids = as_var(source);  // [B, S]
  Encoded encoded;
  encoded.lengths = sum(not_equal(ids, pad), {1});         // [B]
  Var x = embed(source_embedding, source_positions, ids);  // [B, S, C]
  const Mask mask = lengths(encoded.lengths);
  for (const EncoderLayer& layer : encoder) x = layer(x, mask);
  encoded.memory = encoder_norm(x);
  return encoded;
}

Var Transformer::decode(const Encoded& encoded, const Arg& target_in) const {
  const Scope scope(*this, target_in.where);
  Var x = embed(target_embedding, target_positions, target_in);  // [B, T, C]
  const Mask mask = lengths(encoded.lengths);
  for (const DecoderLayer& layer : decoder) x = layer(x, encoded.memory, causal(), mask);
  return output(decoder_norm(x));
}

Var Transformer::operator()(const Arg& source, const Arg& target_in) const {
  const Scope scope(*this, source.where);
  return decode(encode(source), target_in);
}

Gpt::Gpt(const GptOptions& o, Key key)
    : embedding(o.vocab, o.width, key.fold(0), {.stddev = 0.02}),
      positions(PositionKind::learned, o.max_length, o.width, key.fold(1)),
      norm(o.width),
      dropout{o.dropout} {
  if (o.tied) {
    output = tied_output(embedding, {});
  } else {
    output = Linear(o.width, o.vocab, key.fold(2), {.bias = false});
    start_as_gpt(output, 0.02, key.fold(3));
  }
  const TransformerLayerOptions layer{
      .width = o.width,
      .heads = o.heads,
      .feed_forward = o.feed_forward > 0 ? o.feed_forward : 4 * o.width,
      .dropout = o.dropout,
      .activation = Activation::gelu,
      .norm_first = true};
  // What is added to the residual stream 2 L times starts smaller by sqrt(2 L).
  const double added = 0.02 / std::sqrt(2.0 * static_cast<double>(o.layers));
  for (int64_t i = 0; i < o.layers; ++i) {
    const Key own = key.fold(4).fold(static_cast<uint64_t>(i));
    EncoderLayer& l = layers.emplace_back(layer, own);
    start_as_gpt(l.self_attention.in_proj, 0.02, own.fold(2));
    start_as_gpt(l.self_attention.out_proj, added, own.fold(3));
    start_as_gpt(l.feed_forward.up, 0.02, own.fold(4));
    start_as_gpt(l.feed_forward.down, added, own.fold(5));
  }
}

Var Gpt::operator()(const Arg& ids) const {
  const Scope scope(*this, ids.where);
  Var x = dropout(positions(embedding(ids)));  // [B, T, C]
  for (const EncoderLayer& layer : layers) x = layer(x, causal());
  return output(norm(x));
}

}  // namespace rapt
