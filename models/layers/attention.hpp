// Attention layers for decoders that go a step at a time: one query, or several, looks at a memory.
//
// All kinds have the same call and take the same masks: keys(memory) projects the memory once a
// sentence, and the call operator looks at it, as often as there are steps. For self-attention and
// several heads see multi_head.hpp.
#pragma once

#include "framework/core/api.hpp"
#include "models/layers/linear.hpp"
#include "ops/attention/mask.hpp"

namespace rapt RAPT_API {

/// What queries [B, Q] or [B, Tq, Q] get from a memory [B, T, M].
struct Attended {
  Var context;  // [B, M] or [B, Tq, M]: the weighted sum of the memory
  /// [B, T] or [B, Tq, T]: each row adds up to 1, or is all 0 where the mask leaves nothing.
  /// Dot and general attention compute them only if somebody asks.
  Var weights;
};

/// Scores v . tanh(W q + U k) (Bahdanau, Cho and Bengio 2015, section 3.1 and appendix A.1.2).
struct AdditiveAttention {
  Linear query;  // [width, Q], without bias
  Linear key;    // [width, M]
  Parameter v;   // [width]

  AdditiveAttention() = default;
  AdditiveAttention(int64_t query_width, int64_t memory_width, int64_t width, Key key);

  /// memory [B, T, M] -> keys [B, T, width].
  Var keys(const Arg& memory) const;
  /// q [B, Q] or [B, Tq, Q], keys and memory as above.
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&& f) {
    f("query", query);
    f("key", key);
    f("v", v);
  }
};

/// Scores v . tanh(W [q; k]) (Luong, Pham and Manning 2015, "concat").
struct ConcatAttention {
  Linear both;  // [width, Q + M], without bias: the query's columns come first
  Parameter v;  // [width]

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

/// Scores q . W k (Luong, Pham and Manning 2015, "general").
struct GeneralAttention {
  Linear key;  // [Q, M], without bias

  GeneralAttention() = default;
  GeneralAttention(int64_t query_width, int64_t memory_width, Key key);

  /// memory [B, T, M] -> keys [B, T, Q].
  Var keys(const Arg& memory) const;
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&& f) { f("key", key); }
};

/// Scores q . k, for queries as wide as the memory (Luong, Pham and Manning 2015, "dot").
struct DotAttention {
  /// The memory itself.
  Var keys(const Arg& memory) const { return as_var(memory); }
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&&) {}
};

}  // namespace rapt
