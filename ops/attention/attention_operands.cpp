#include "ops/attention/attention_operands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"
#include "ops/support/strided.hpp"

namespace rapt::internal {
namespace {

void check_float(ShapeContext& c, int i) {
  if (c.dtype(i) != c.dtype(0) || !is_float(c.dtype(i))) {
    c.fail(fmt::format("expected operands of one float type, got {} and {}", name(c.dtype(0)),
                       name(c.dtype(i))),
           ErrorKind::type);
  }
}

/// Fails unless input i broadcasts to [B, Hq, Tq, Tk].
void check_pairs(ShapeContext& c, int i, std::string_view what) {
  const Shape &q = c.input(0), &k = c.input(1), &x = c.input(i);
  const Shape all{q[0], q[1], q[2], k[2]};
  Shape both;
  if (x.rank() != 4 || !broadcast(x, all, both) || both != all) {
    c.fail(fmt::format("the {} {} does not broadcast to scores {}", what, to_string(x),
                       to_string(all)));
  }
}

void check_documents(ShapeContext& c, int i) {
  const Shape &q = c.input(0), &k = c.input(1), &own = c.input(i), &others = c.input(i + 1);
  const auto fits = [&](const Shape& ids, const Shape& x) {
    return ids.rank() == 2 && (ids[0] == q[0] || ids[0] == 1) && ids[1] == x[2];
  };
  if (fits(own, q) && fits(others, k)) return;
  c.fail(fmt::format("documents {} and {} do not fit queries {} and keys {}", to_string(own),
                     to_string(others), to_string(q), to_string(k)));
}

/// Returns the distance between sentences of an array with one row per sentence; 0 if all share one
/// row.
int64_t sentence_step(const TensorView& x) { return x.shape[0] == 1 ? 0 : x.strides[0]; }

template <class T>
void set_masks(const ForwardContext& c, const AttentionAttributes& a, const AttentionOptional& o,
               kernels::Attention<T>& in) {
  const int64_t shift = in.keys - in.queries;
  if (a.causal != 0) in.band_last = shift;
  if (a.window >= 0) {
    // No key is more than `unlimited` positions away.
    const int64_t width = std::min(a.window, kernels::unlimited);
    in.band_first = shift - width;
    in.band_last = std::min(in.band_last, shift + width);
  }
  if (o.lengths >= 0) {
    in.key_lengths = c.input(o.lengths).as<const int32_t>();
    if (in.key_lengths != nullptr)
      check_lengths(c.input(o.lengths), in.keys);  // null in a scratch rule
  }
  if (o.prefix >= 0) {
    in.prefix = c.input(o.prefix).as<const int32_t>();
    in.prefix_step = sentence_step(c.input(o.prefix));
    in.prefix_last = shift;
  }
  if (o.documents >= 0) {
    const TensorView &own = c.input(o.documents), &others = c.input(o.documents + 1);
    in.query_documents = own.as<const int32_t>();
    in.query_documents_step = sentence_step(own);
    in.key_documents = others.as<const int32_t>();
    in.key_documents_step = sentence_step(others);
  }
  if (o.keep >= 0) in.keep = pairs<const uint8_t>(c.input(o.keep));
}

Mask mask_of(const ReferenceContext& c, const AttentionAttributes& a, const AttentionOptional& o) {
  Mask mask{.causal = a.causal != 0, .window = a.window};
  if (o.lengths >= 0) mask.key_lengths = c.input(o.lengths);
  if (o.prefix >= 0) mask.prefix = c.input(o.prefix);
  if (o.documents >= 0) {
    mask.query_documents = c.input(o.documents);
    mask.key_documents = c.input(o.documents + 1);
  }
  if (o.keep >= 0) mask.keep = c.input(o.keep);
  return mask;
}

}  // namespace

double attention_scale(const AttentionAttributes& a, int64_t depth) {
  if (a.scale != 0) return a.scale;
  return 1 / std::sqrt(static_cast<double>(std::max<int64_t>(depth, 1)));
}

void check_attention(ShapeContext& c, int required) {
  const Shape &q = c.input(0), &k = c.input(1);
  for (int i = 0; i < std::min(required, forward_inputs); ++i) check_float(c, i);
  if (q.rank() != 4 || k.rank() != 4 || q[0] != k[0] || q[3] != k[3]) {
    c.fail(fmt::format("expected queries [B, Hq, Tq, D] and keys [B, Hk, Tk, D], got {} and {}",
                       to_string(q), to_string(k)));
  }
  if (k[1] == 0 ? q[1] != 0 : q[1] % k[1] != 0) {
    c.fail(fmt::format("{} query heads cannot share {} heads of keys evenly, of {} and {}", q[1],
                       k[1], to_string(q), to_string(k)));
  }
  if (required > weights_inputs) {
    const Shape& v = c.input(2);
    if (v.rank() != 4 || v[0] != k[0] || v[1] != k[1] || v[2] != k[2]) {
      c.fail(fmt::format("expected keys [B, Hk, Tk, D] and values [B, Hk, Tk, Dv], got {} and {}",
                         to_string(k), to_string(v)));
    }
  }
  const AttentionOptional optional(attention_attributes(c.words()), required);
  if (optional.bias >= 0) {
    check_float(c, optional.bias);
    check_pairs(c, optional.bias, "bias");
  }
  if (optional.lengths >= 0 && c.input(optional.lengths) != Shape{q[0]}) {
    c.fail(fmt::format("expected lengths [B], got {} for keys {}",
                       to_string(c.input(optional.lengths)), to_string(k)));
  }
  if (optional.prefix >= 0 && c.input(optional.prefix)[0] != q[0] &&
      c.input(optional.prefix)[0] != 1) {
    c.fail(fmt::format("expected a prefix [B], got {} for queries {}",
                       to_string(c.input(optional.prefix)), to_string(q)));
  }
  if (optional.documents >= 0) check_documents(c, optional.documents);
  if (optional.keep >= 0) check_pairs(c, optional.keep, "mask");
}

template <class T>
AttentionOperands<T>::AttentionOperands(const ForwardContext& c, int required) {
  const AttentionAttributes attributes = attention_attributes(c.words());
  const AttentionOptional optional(attributes, required);
  const Shape &q = c.input(0).shape, &k = c.input(1).shape;
  in.batch = q[0];
  in.query_heads = q[1];
  in.key_heads = k[1];
  in.queries = q[2];
  in.keys = k[2];
  in.depth = q[3];
  in.q = heads<const T>(c.input(0));
  in.k = heads<const T>(c.input(1));
  if (required > weights_inputs) {
    in.value_depth = c.input(2).shape[3];
    in.v = heads<const T>(c.input(2));
  }
  in.scale = static_cast<T>(attention_scale(attributes, in.depth));
  set_masks(c, attributes, optional, in);
  if (optional.bias >= 0) in.bias = pairs<const T>(c.input(optional.bias));
  if (optional.key >= 0) {
    in.dropout = attributes.dropout;
    uint64_t key[2] = {};
    const void* data = c.input(optional.key).data;
    if (data != nullptr) std::memcpy(key, data, sizeof key);  // null in a scratch rule
    in.key0 = key[0];
    in.key1 = key[1];
  }
  if (attributes.score == 0) return;
  Recycled<TensorView> captured;
  for (int64_t i = 0; i < attributes.captured + attributes.numbers; ++i) {
    captured.push_back(c.input(optional.captured + static_cast<int>(i)));
  }
  const bool backward = attributes.derivative != 0;
  score.emplace(backward ? derivative_text(c.words()) : score_text(c.words()), captured, backward,
                in.queries, in.keys);
  in.score = &score->program();
}

template struct AttentionOperands<float>;
template struct AttentionOperands<double>;

double attention_flops(const ForwardContext& c, double depths) {
  const Shape &q = c.input(0).shape, &k = c.input(1).shape;
  const double all = 2.0 * static_cast<double>(q[0] * q[1] * q[2]) * static_cast<double>(k[2]);
  return all * depths * (attention_attributes(c.words()).causal != 0 ? 0.5 : 1);
}

Var repeat_heads(const Var& x, int64_t group) {
  if (group == 1) return x;
  const Shape s = x.shape();
  return reshape(broadcast_to(unsqueeze(x, 2), {s[0], s[1], group, s[2], s[3]}),
                 {s[0], s[1] * group, s[2], s[3]});
}

int64_t group_of(const Var& q, const Var& k) { return k.size(1) == 0 ? 1 : q.size(1) / k.size(1); }

Recycled<Var> captured_of(const ReferenceContext& c, int required) {
  const AttentionAttributes attributes = attention_attributes(c.words());
  const AttentionOptional optional(attributes, required);
  Recycled<Var> captured;
  for (int64_t i = 0; i < attributes.captured; ++i) {
    captured.push_back(c.input(optional.captured + static_cast<int>(i)));
  }
  return captured;
}

Var plain_weights(const ReferenceContext& c, int required, const Var& q, const Var& k,
                  const Var& bias, std::span<const Var> captured) {
  const AttentionAttributes attributes = attention_attributes(c.words());
  const AttentionOptional optional(attributes, required);
  const double scale = attention_scale(attributes, q.size(3));
  Var scores = matmul(q, transpose(repeat_heads(k, group_of(q, k)))) * scale;  // [B, Hq, Tq, Tk]
  if (attributes.score != 0) scores = replay_score(score_text(c.words()), scores, captured);
  if (!bias.is_empty()) scores = scores + bias;
  const Mask mask = mask_of(c, attributes, optional);
  if (mask.limits_nothing()) return softmax(scores);
  return softmax(scores, {.mask = as_boolean(mask, q.graph(), q.size(0), q.size(2), k.size(2))});
}

Var record_attention(StaticOp op, std::initializer_list<const Arg*> operands,
                     const AttentionOptions& options, double dropout,
                     std::span<const int64_t> more) {
  const SourceLocation where = (*operands.begin())->where;
  Recycled<Arg> inputs;
  for (const Arg* operand : operands) {
    inputs.emplace_back(dense_rows(as_var(*operand)), operand->where);
  }
  if (!std::isfinite(options.scale)) {
    fail(op->name, fmt::format("the scale is {}, expected a finite number", options.scale), where,
         ErrorKind::usage);
  }
  const Var q = as_var(inputs[0]), k = as_var(inputs[1]);
  const Mask& mask = options.mask;
  AttentionAttributes attributes{};
  attributes.scale = options.scale;
  attributes.dropout = dropout;
  attributes.causal = mask.causal ? 1 : 0;
  attributes.window = mask.window;
  const auto add = [&](const Var& var, int64_t& there) {
    if (var.is_empty()) return;
    there = 1;
    inputs.emplace_back(var, where);
  };
  Var bias = options.bias;
  while (!bias.is_empty() && bias.rank() < 4) bias = unsqueeze(bias, 0);
  add(bias.is_empty()        ? mask.bias
      : mask.bias.is_empty() ? bias
                             : bias + mask.bias,
      attributes.bias);
  add(mask.key_lengths.is_empty() ? Var() : contiguous(mask.key_lengths), attributes.lengths);
  add(mask.prefix, attributes.prefix);
  if (!mask.query_documents.is_empty()) {
    add(dense_rows(mask.query_documents), attributes.documents);
    add(dense_rows(mask.key_documents), attributes.documents);
  }
  add(mask.keep, attributes.keep);
  if (dropout > 0) inputs.emplace_back(q.graph().key(where), where);
  RecordedScore score;
  // The operator itself reports shapes that do not fit.
  if (options.score && q.rank() == 4 && k.rank() == 4) {
    score = record_score(options.score, q, {q.size(0), q.size(1), q.size(2), k.size(2)}, where);
    attributes.score = static_cast<int64_t>(score.text.size());
    attributes.captured = static_cast<int64_t>(score.captured.size());
    for (const Var& var : score.captured) inputs.emplace_back(var, where);
  }
  ScoreText words;
  const auto fixed = words_of(attributes);
  words.insert(words.end(), fixed.begin(), fixed.end());
  words.insert(words.end(), score.text.begin(), score.text.end());
  words.insert(words.end(), more.begin(), more.end());
  return record(op, inputs, words);
}

}  // namespace rapt::internal
