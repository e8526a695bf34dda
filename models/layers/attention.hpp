// Attention layers for recurrent decoders: one or several queries attend to a memory.
//
// All kinds share one interface and take the same masks. keys(memory) projects the memory once per
// sentence. The call operator is applied at every decoding step. For self-attention and several
// heads see multi_head.hpp.
#pragma once

#include "framework/core/api.hpp"
#include "models/layers/linear.hpp"
#include "ops/attention/mask.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// The result of queries [B, Q] or [B, Tq, Q] over a memory [B, T, M].
struct Attended {
  Var context;  ///< [B, M] or [B, Tq, M]: the weighted sum of the memory
  /// [B, T] or [B, Tq, T]. Each row sums to 1, or is all 0 if the mask leaves no key. Dot and
  /// general attention compute the weights only if they are requested.
  Var weights;
};

/// Additive attention with scores v . tanh(W q + U k) (Bahdanau, Cho and Bengio 2015, section 3.1
/// and appendix A.1.2).
struct AdditiveAttention {
  Linear query;  ///< [width, Q], without bias
  Linear key;    ///< [width, M]
  Parameter v;   ///< [width]

  AdditiveAttention() = default;
  AdditiveAttention(int64_t query_width, int64_t memory_width, int64_t width, Key key);

  /// memory [B, T, M] -> keys [B, T, width].
  Var keys(const Arg& memory) const;
  /// Attends with queries q [B, Q] or [B, Tq, Q]. Keys come from keys(); memory is [B, T, M].
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&& f) {
    f("query", query);
    f("key", key);
    f("v", v);
  }
};

/// Attention with scores v . tanh(W [q; k]) (Luong, Pham and Manning 2015, "concat").
struct ConcatAttention {
  Linear both;  ///< [width, Q + M], without bias: the query's columns come first
  Parameter v;  ///< [width]

  ConcatAttention() = default;
  ConcatAttention(int64_t query_width, int64_t memory_width, int64_t width, Key key);

  /// memory [B, T, M] -> keys [B, T, width].
  Var keys(const Arg& memory) const;
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&& f) {
    f("both", both);
    f("v", v);
  }

 private:
  int64_t query_width_ = 0;
};

/// Attention with scores q . W k (Luong, Pham and Manning 2015, "general").
struct GeneralAttention {
  Linear key;  ///< [Q, M], without bias

  GeneralAttention() = default;
  GeneralAttention(int64_t query_width, int64_t memory_width, Key key);

  /// memory [B, T, M] -> keys [B, T, Q].
  Var keys(const Arg& memory) const;
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&& f) { f("key", key); }
};

/// Attention with scores q . k, for queries as wide as the memory (Luong, Pham and Manning 2015,
/// "dot").
struct DotAttention {
  /// Returns the memory itself.
  Var keys(const Arg& memory) const { return as_var(memory); }
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&&) {}
};

}  // namespace v0
}  // namespace rapt
