// Score functions: user code that changes attention scores inside the fused kernel.
#pragma once

#include <functional>

#include "framework/core/api.hpp"
#include "ops/shape/index.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Operands of a score function: symbolic values for elementwise expressions. Positions are whole
/// numbers in the float type of the scores.
struct Score {
  Var value;  ///< Scaled score, scale q k', [B, Hq, Tq, Tk].
  Var batch;  ///< Index of the sentence, [B, 1, 1, 1].
  Var head;   ///< Index of the query's head, [1, Hq, 1, 1].
  /// Position of the query among the keys, [1, 1, Tq, 1]: its index plus Tk - Tq. causal() aligns
  /// queries in the same way, so that key - query is a distance in decoding too.
  Var query;
  Var key;  ///< Position of the key, [1, 1, 1, Tk].
};

/// Function that maps scores to new scores:
///
///   [&](const Score& s) { return tanh(s.value / 30) * 30 + slope[s.head] * (s.key - s.query); }
///
/// attention() calls it once, while it records. The function may use elementwise operators,
/// numbers, and Vars and Parameters from outside. An outside array is used whole if it broadcasts
/// to [B, Hq, Tq, Tk]. Single elements are indexed as in `table[s.head][s.key - s.query + 8]`; see
/// element() for indices. All outside values get their gradients. The fused kernels evaluate the
/// function on one row of scores at a time, forward and backward, so no [Tq, Tk] array is stored. A
/// result of -inf hides the key from the query.
using ScoreFunction = std::function<Var(const Score&)>;

/// Composes two score functions: applies `first`, then applies `second` to the result.
ScoreFunction operator|(const ScoreFunction& first, const ScoreFunction& second);

namespace score {

/// Returns value - slope |key - query| with one slope per head (ALiBi, Press et al. 2022). Under a
/// causal mask this is exactly their bias. The slopes [Hq] may be learned.
ScoreFunction alibi(const Arg& slopes);
/// Does the same with alibi_slopes() for the number of heads in use.
ScoreFunction alibi();
/// Returns the slopes of Press et al. 2022, float32 [heads]. If n is a power of two, they are 2^(-8
/// (i + 1) / n) for i < n. Otherwise n is the largest power of two below the number of heads, and
/// the remaining heads get every second slope of the sequence for 2 n heads.
Tensor alibi_slopes(int64_t heads);

/// Returns limit tanh(value / limit) (Gemma Team 2024, section 2). Throws Error if limit is not
/// above 0.
ScoreFunction softcap(double limit);

/// Returns value / temperature. The temperature is a learned scalar, or one per head, [Hq].
ScoreFunction temperature(const Arg& temperature);

struct T5Options {
  /// True if keys after the query have buckets of their own, as in an encoder. If false, they share
  /// the bucket of distance 0, as in a decoder.
  bool bidirectional = true;
  int64_t max_distance = 128;
};

/// Returns value + table[bucket(key - query)][head], the relative position bias of T5 (Raffel et
/// al. 2020, section 2.1). Half of the buckets hold one distance each. The others hold ranges that
/// widen up to max_distance. table [buckets, Hq] is laid out as T5's relative_attention_bias.
/// Throws Error for fewer than 4 buckets, or if max_distance does not exceed the single distances.
ScoreFunction t5_bias(const Arg& table, const T5Options& options = {});
/// Returns the bucket of each relative position key - query (int32, any shape).
Tensor t5_buckets(const Tensor& places, int64_t buckets, const T5Options& options = {});

/// Returns value + table[head][clamp(key - query, -w, w) + w] for a table [Hq, 2 w + 1]. This is a
/// learned bias for every distance up to w (Shaw et al. 2018 clip distances in this way).
ScoreFunction relative_bias(const Arg& table);

}  // namespace score
}  // namespace v0
}  // namespace rapt
