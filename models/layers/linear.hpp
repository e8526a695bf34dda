// Feed-forward building blocks: linear maps, embeddings, normalisation, dropout.
#pragma once

#include <variant>

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/parameter.hpp"
#include "ops/products/matmul.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct LinearOptions {
  bool bias = true;
  Activation activation = Activation::none;
};

/// Linear layer: y = activation(x W^T + b).
struct Linear {
  Parameter weight;  ///< [out, in]
  Parameter bias;    ///< [out]; empty without bias
  Activation activation = Activation::none;

  Linear() = default;
  /// Draws weights and bias uniformly in +-1/sqrt(in), as torch.nn.Linear.
  Linear(int64_t in, int64_t out, Key key, const LinearOptions& options = {});

  int64_t in() const { return weight.shape()[1]; }
  int64_t out() const { return weight.shape()[0]; }
  /// Redraws the weights uniformly in +-sqrt(6 / (in + out)) (Glorot and Bengio 2010).
  /// torch.nn.Transformer initialises every matrix this way.
  void start_as_glorot(Key key);
  /// x [..., in] -> [..., out].
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
};

struct EmbeddingOptions {
  double stddev = 1;  ///< standard deviation of the initial values
};

/// Embedding: looks up rows of a table by index.
struct Embedding {
  Parameter weight;  ///< [count, width]

  Embedding() = default;
  Embedding(int64_t count, int64_t width, Key key, const EmbeddingOptions& options = {});

  int64_t count() const { return weight.shape()[0]; }
  int64_t width() const { return weight.shape()[1]; }
  /// ids int32 [...] -> [..., width]. Throws Error if an id is outside 0 .. count - 1.
  Var operator()(const Arg& ids) const;
  /// Looks up sequences with time first: ids int32 [B, T] -> [T, B, width].
  Var by_steps(const Arg& ids) const;
  void visit(auto&& f) { f("weight", weight); }
};

/// Layer normalisation over the last axis (Ba, Kiros and Hinton 2016).
struct LayerNorm {
  Parameter weight;  ///< [width], ones
  Parameter bias;    ///< [width], zeros
  double eps = 1e-5;

  LayerNorm() = default;
  explicit LayerNorm(int64_t width);

  /// x [..., width] -> the same shape.
  Var operator()(const Arg& x) const;
  void visit(auto&& f) {
    f("weight", weight);
    f("bias", bias);
  }
};

/// RMS normalisation over the last axis: divides by the root mean square, without mean and bias
/// (Zhang and Sennrich 2019).
struct RMSNorm {
  Parameter weight;  ///< [width], ones
  double eps = 1e-5;

  RMSNorm() = default;
  explicit RMSNorm(int64_t width);

  /// x [..., width] -> the same shape.
  Var operator()(const Arg& x) const;
  void visit(auto&& f) { f("weight", weight); }
};

enum class NormKind { layer, rms };

/// LayerNorm or RMSNorm, for models that choose by option.
struct Norm {
  std::variant<LayerNorm, RMSNorm> norm;

  Norm() = default;
  Norm(int64_t width, NormKind kind);

  /// x [..., width] -> the same shape.
  Var operator()(const Arg& x) const {
    return std::visit([&](const auto& chosen) { return chosen(x); }, norm);
  }
  void visit(auto&& f) {
    std::visit([&](auto& chosen) { chosen.visit(f); }, norm);
  }
};

/// Dropout (Srivastava et al. 2014). On a training tape it zeroes elements with probability p and
/// scales the others by 1 / (1 - p). On any other tape it passes its input through.
struct Dropout {
  double p = 0;

  Var operator()(const Arg& x) const;
  void visit(auto&&) {}
};

}  // namespace v0
}  // namespace rapt
