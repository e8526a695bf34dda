#include <cmath>
#include <rapt/framework/scope.hpp>
#include <rapt/models/attention.hpp>
#include <rapt/ops/additive_attention.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/shape.hpp>
#include <rapt/ops/softmax.hpp>

namespace rapt {

AdditiveAttention::AdditiveAttention(int64_t query_width, int64_t memory_width, int64_t width,
                                     Key k)
    : query(query_width, width, k.fold(0), {.bias = false}), key(memory_width, width, k.fold(1)) {
  const double bound = 1 / std::sqrt(static_cast<double>(width));
  v = Parameter(uniform(k.fold(2), {width}, -bound, bound));
}

Var AdditiveAttention::keys(const Arg& memory) const {
  const Scope scope(*this, memory.where);
  return key(memory);
}

Attended AdditiveAttention::operator()(const Arg& q, const Arg& keys, const Arg& memory,
                                       const Mask& mask) const {
  const Scope scope(*this, q.where);
  const Var context = additive_attention(query(q), keys, v, memory, mask);
  return {context, context.output(1)};
}

DotAttention::DotAttention(int64_t query_width, int64_t memory_width, Key k)
    : key(memory_width, query_width, k, {.bias = false}) {}

Var DotAttention::keys(const Arg& memory) const {
  const Scope scope(*this, memory.where);
  return key(memory);
}

Attended DotAttention::operator()(const Arg& q, const Arg& keys, const Arg& memory,
                                  const Mask& mask) const {
  const Scope scope(*this, q.where);
  const Var row = unsqueeze(q, 1);                  // [B, 1, Q]
  const Var scores = matmul(row, transpose(keys));  // [B, 1, T]
  SoftmaxOptions options;
  if (!mask.limits_nothing()) {
    const Var keep = as_boolean(mask, scores.graph(), scores.size(0), 1, scores.size(2));
    options.mask = squeeze(keep, 1);  // one head: [B, 1, T]
  }
  const Var weights = softmax(scores, options);  // [B, 1, T]
  return {squeeze(matmul(weights, memory), 1), squeeze(weights, 1)};
}

}  // namespace rapt
