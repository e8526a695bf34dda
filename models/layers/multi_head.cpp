#include "models/layers/multi_head.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/graph/scope.hpp"
#include "models/layers/probe.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// [.., heads D] -> [.., heads, D].
Var split_heads(const Var& x, int64_t depth) {
  Shape shape = x.shape();
  shape[-1] /= depth;
  shape.push_back(depth);
  return reshape(x, shape);
}

/// Maps [B, T, H, D] to [B, H, T, D], and back.
Var swap_heads(const Var& x) { return transpose(x, 1, 2); }

}  // namespace

MultiHeadAttention::MultiHeadAttention(int64_t width, int64_t head_count, Key key,
                                       const MultiHeadOptions& options)
    : positions(options.positions),
      heads(head_count),
      key_heads(options.key_heads > 0 ? options.key_heads : head_count),
      dropout(options.dropout) {
  check_at_least("MultiHeadAttention", "width", width, 1);
  check_at_least("MultiHeadAttention", "heads", heads, 1);
  check_at_least("MultiHeadAttention", "key_heads", options.key_heads, 0);
  check_share("MultiHeadAttention", "dropout", dropout);
  if (width % heads != 0) {
    throw Error({.op = "MultiHeadAttention",
                 .detail = fmt::format("{} heads do not divide a width of {}", heads, width)});
  }
  if (heads % key_heads != 0) {
    throw Error(
        {.op = "MultiHeadAttention",
         .detail = fmt::format("{} heads cannot share {} of keys and values", heads, key_heads)});
  }
  const int64_t rows = (heads + 2 * key_heads) * (width / heads);
  in_proj = Linear(width, rows, key.fold(0));
  out_proj = Linear(width, width, key.fold(1));
  in_proj.start_as_glorot(key.fold(2));
  out_proj.start_as_glorot(key.fold(3));
  in_proj.bias.set(zeros({rows}));
  out_proj.bias.set(zeros({width}));
}

Var MultiHeadAttention::attend(const Var& q, const Var& k, const Var& v, const Mask& mask,
                               const ScoreFunction& score) const {
  const AttentionOptions options{.mask = mask, .score = score, .dropout = dropout};
  const Var y = attention(q, k, v, options);  // [B, H, T, D]
  if (AttentionProbe::active()) AttentionProbe::show(attention_weights(q, k, options));
  return out_proj(reshape(swap_heads(y), {y.size(0), y.size(2), width()}));
}

Var MultiHeadAttention::operator()(const Arg& x, const Mask& mask) const {
  const Scope scope(*this, x.where);
  const Var parts = split_heads(in_proj(x), depth());  // [B, T, H + 2 Hk, D]
  const int64_t values = heads + key_heads;            // index of the first value head
  Var turned = parts;
  if (positions.rotations) turned = positions.rotate(slice(parts, 2, 0, values));
  const Var q = slice(turned, 2, 0, heads), k = slice(turned, 2, heads, values);
  const Var v = slice(parts, 2, values);
  return attend(swap_heads(q), swap_heads(k), swap_heads(v), mask, positions.score());
}

Var MultiHeadAttention::operator()(const Arg& x, const Arg& memory, const Mask& mask) const {
  const Scope scope(*this, x.where);
  const auto [k, v] = keys_values(memory);
  return attend(swap_heads(queries(x)), swap_heads(k), swap_heads(v), mask, {});
}

/// [.., C] -> [.., H, D].
Var MultiHeadAttention::queries(const Arg& x) const {
  const Var weight = slice(in_proj.weight, 0, 0, width()),
            bias = slice(in_proj.bias, 0, 0, width());
  return split_heads(linear(x, weight, bias), depth());
}

std::array<Var, 2> MultiHeadAttention::keys_values(const Arg& memory) const {
  const Scope scope(*this, memory.where);
  const Var weight = slice(in_proj.weight, 0, width()), bias = slice(in_proj.bias, 0, width());
  const Var parts = split_heads(linear(memory, weight, bias), depth());  // [B, S, 2 Hk, D]
  return {slice(parts, 2, 0, key_heads), slice(parts, 2, key_heads)};
}

Var MultiHeadAttention::step(const Arg& x, const KeyValueCache& cache, const CachePlace& at) const {
  const Scope scope(*this, x.where);
  const Var parts = split_heads(in_proj(x), depth());  // [R, H + 2 Hk, D]
  const int64_t values = heads + key_heads;
  Var turned = parts;
  if (positions.rotations) {
    // Treat the rows as sentences of length 1.
    turned = squeeze(positions.rotate(unsqueeze(slice(parts, 1, 0, values), 1), at.place), 1);
  }
  const Var bias = positions.bias_at(at.place, heads, at.ancestors.size(1), parts.dtype());
  const Var y = cached_attention(slice(turned, 1, 0, heads), slice(turned, 1, heads, values),
                                 slice(parts, 1, values), cache, at.ancestors, at.place, 0,
                                 bias);  // [R, H, D]
  return out_proj(reshape(y, {y.size(0), width()}));
}

Var MultiHeadAttention::step(const Arg& x, const SharedMemory& memory) const {
  const Scope scope(*this, x.where);
  const Var y =
      shared_attention(queries(x), memory.keys, memory.values, memory.sentences, memory.lengths);
  return out_proj(reshape(y, {y.size(0), width()}));
}

}  // namespace v0
}  // namespace rapt
