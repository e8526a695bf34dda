#include "models/layers/linear.hpp"

#include <cmath>

#include "framework/core/options.hpp"
#include "framework/graph/scope.hpp"
#include "ops/elementwise/dropout.hpp"
#include "ops/rows/norm.hpp"
#include "ops/shape/embedding.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

Linear::Linear(int64_t in, int64_t out, Key key, const LinearOptions& options)
    : activation(options.activation) {
  check_at_least("Linear", "in", in, 1);
  check_at_least("Linear", "out", out, 1);
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  weight = Parameter(uniform(key.fold(0), {out, in}, -bound, bound));
  if (options.bias) bias = Parameter(uniform(key.fold(1), {out}, -bound, bound));
}

void Linear::start_as_glorot(Key key) {
  const double bound = std::sqrt(6 / static_cast<double>(in() + out()));
  weight.set(uniform(key, weight.shape(), -bound, bound));
}

Var Linear::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  if (bias) return linear(x, weight, bias, activation);
  return linear(x, weight, activation);
}

Embedding::Embedding(int64_t count, int64_t width, Key key, const EmbeddingOptions& options) {
  check_at_least("Embedding", "count", count, 1);
  check_at_least("Embedding", "width", width, 1);
  check_not_negative("Embedding", "stddev", options.stddev);
  weight = Parameter(normal(key, {count, width}, 0, options.stddev));
}

Var Embedding::operator()(const Arg& ids) const {
  const Scope scope(*this, ids.where);
  return embedding(ids, weight);
}

Var Embedding::by_steps(const Arg& ids) const {
  const Scope scope(*this, ids.where);
  return embedding_by_steps(ids, weight);
}

LayerNorm::LayerNorm(int64_t width) {
  check_at_least("LayerNorm", "width", width, 1);
  weight = Parameter(full({width}, 1));
  bias = Parameter(zeros({width}));
}

Var LayerNorm::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return layer_norm(x, weight, bias, eps);
}

RMSNorm::RMSNorm(int64_t width) {
  check_at_least("RMSNorm", "width", width, 1);
  weight = Parameter(full({width}, 1));
}

Var RMSNorm::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return rms_norm(x, weight, eps);
}

Norm::Norm(int64_t width, NormKind kind) {
  if (kind == NormKind::rms) {
    norm = RMSNorm(width);
  } else {
    norm = LayerNorm(width);
  }
}

Var Dropout::operator()(const Arg& x) const { return dropout(x, p); }

}  // namespace v0
}  // namespace rapt
