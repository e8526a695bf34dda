#include "models/layers/attention.hpp"

#include <cmath>

#include "framework/graph/scope.hpp"
#include "models/layers/probe.hpp"
#include "ops/attention/additive_attention.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

Parameter start_of_v(int64_t width, Key key) {
  const double bound = 1 / std::sqrt(static_cast<double>(width));
  return Parameter(uniform(key, {width}, -bound, bound));
}

/// Additive attention for queries and keys that are already projected to the space of v.
Attended look_additively(const Arg& query, const Arg& keys, const Arg& v, const Arg& memory,
                         const Mask& mask) {
  const Var context = additive_attention(query, keys, v, memory, mask);
  const Attended seen{context, context.output(1)};
  AttentionProbe::show(seen.weights);
  return seen;
}

/// Dot-product attention with unscaled scores, by the fused operator with one head.
Attended look_by_products(const Arg& q, const Arg& keys, const Arg& memory, const Mask& mask) {
  const Var query = as_var(q);
  const bool single = query.rank() == 2;
  const Var of_heads = single ? reshape(query, {query.size(0), 1, 1, query.size(1)})
                              : unsqueeze(query, 1);  // [B, 1, Tq, Q]
  const Var key = unsqueeze(keys, 1);                 // [B, 1, T, Q]
  const AttentionOptions options{.mask = mask, .scale = 1};
  const Var context = attention(of_heads, key, unsqueeze(memory, 1), options);  // [B, 1, Tq, M]
  const Var weights = attention_weights(of_heads, key, options);                // [B, 1, Tq, T]
  const auto without_head = [&](const Var& x) {
    const Var of_queries = squeeze(x, 1);
    return single ? squeeze(of_queries, 1) : of_queries;
  };
  const Attended seen{without_head(context), without_head(weights)};
  AttentionProbe::show(seen.weights);
  return seen;
}

}  // namespace

AdditiveAttention::AdditiveAttention(int64_t query_width, int64_t memory_width, int64_t width,
                                     Key k)
    : query(query_width, width, k.fold(0), {.bias = false}),
      key(memory_width, width, k.fold(1)),
      v(start_of_v(width, k.fold(2))) {}

Var AdditiveAttention::keys(const Arg& memory) const {
  const Scope scope(*this, memory.where);
  return key(memory);
}

Attended AdditiveAttention::operator()(const Arg& q, const Arg& keys, const Arg& memory,
                                       const Mask& mask) const {
  const Scope scope(*this, q.where);
  return look_additively(query(q), keys, v, memory, mask);
}

ConcatAttention::ConcatAttention(int64_t query_width, int64_t memory_width, int64_t width, Key key)
    : both(query_width + memory_width, width, key.fold(0), {.bias = false}),
      v(start_of_v(width, key.fold(1))),
      query_width_(query_width) {}

// W [q; k] = W_q q + W_k k, so the keys' part is computed once for all queries.
Var ConcatAttention::keys(const Arg& memory) const {
  const Scope scope(*this, memory.where);
  return linear(memory, slice(both.weight, 1, query_width_));
}

Attended ConcatAttention::operator()(const Arg& q, const Arg& keys, const Arg& memory,
                                     const Mask& mask) const {
  const Scope scope(*this, q.where);
  const Var query = linear(q, slice(both.weight, 1, 0, query_width_));
  return look_additively(query, keys, v, memory, mask);
}

GeneralAttention::GeneralAttention(int64_t query_width, int64_t memory_width, Key k)
    : key(memory_width, query_width, k, {.bias = false}) {}

Var GeneralAttention::keys(const Arg& memory) const {
  const Scope scope(*this, memory.where);
  return key(memory);
}

Attended GeneralAttention::operator()(const Arg& q, const Arg& keys, const Arg& memory,
                                      const Mask& mask) const {
  const Scope scope(*this, q.where);
  return look_by_products(q, keys, memory, mask);
}

Attended DotAttention::operator()(const Arg& q, const Arg& keys, const Arg& memory,
                                  const Mask& mask) const {
  const Scope scope(*this, q.where);
  return look_by_products(q, keys, memory, mask);
}

}  // namespace v0
}  // namespace rapt
