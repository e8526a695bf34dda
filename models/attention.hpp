// Attention layers for recurrent decoders: one query a row looks at a memory.
//
// Both kinds have the same call: keys(memory) projects the memory once a sentence, and the call
// operator looks at it once a step.
#pragma once

#include <rapt/models/linear.hpp>
#include <rapt/ops/mask.hpp>

namespace rapt {

struct Attended {
  Var context;  // [B, M]: the weighted sum of the memory
  Var weights;  // [B, T]: each row adds up to 1, or is all 0 where the mask leaves nothing
};

/// Scores v . tanh(W q + U k) (Bahdanau, Cho and Bengio 2015, section 3.1 and appendix A.1.2).
struct AdditiveAttention {
  Linear query;  // without bias
  Linear key;
  Parameter v;  // [width]

  AdditiveAttention() = default;
  AdditiveAttention(int64_t query_width, int64_t memory_width, int64_t width, Key key);

  /// memory [B, T, M] -> keys [B, T, width].
  Var keys(const Arg& memory) const;
  /// q [B, Q], keys and memory as above.
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&& f) {
    f("query", query);
    f("key", key);
    f("v", v);
  }
};

/// Scores q . W k (Luong, Pham and Manning 2015, "general").
struct DotAttention {
  Linear key;  // without bias

  DotAttention() = default;
  DotAttention(int64_t query_width, int64_t memory_width, Key key);

  /// memory [B, T, M] -> keys [B, T, Q].
  Var keys(const Arg& memory) const;
  Attended operator()(const Arg& q, const Arg& keys, const Arg& memory,
                      const Mask& mask = {}) const;
  void visit(auto&& f) { f("key", key); }
};

}  // namespace rapt
