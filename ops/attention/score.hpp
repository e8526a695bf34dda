// Score functions: what a user's own code does to attention's scores, inside the fused kernel.
#pragma once

#include <functional>

#include "framework/core/api.hpp"
#include "ops/shape/index.hpp"

namespace rapt RAPT_API {

/// The scores of an attention, as a score function sees them: handles for elementwise expressions.
/// Places are whole numbers of the scores' float type.
struct Score {
  Var value;  ///< The scaled score, scale q k': [B, Hq, Tq, Tk].
  Var batch;  ///< The sentence, [B, 1, 1, 1].
  Var head;   ///< The query's head, [1, Hq, 1, 1].
  /// The query's place among the keys, [1, 1, Tq, 1]: its own number, plus Tk - Tq where these
  /// differ, as causal() anchors queries, so that key - query is a distance also in decoding.
  Var query;
  Var key;  ///< The key's place, [1, 1, 1, Tk].
};

/// Makes new scores of old ones:
///
///   [&](const Score& s) { return tanh(s.value / 30) * 30 + slope[s.head] * (s.key - s.query); }
///
/// It is called once, while attention() records, and uses elementwise operators, numbers, and Vars
/// and Parameters from outside: whole, where they broadcast to [B, Hq, Tq, Tk], or single elements,
/// `table[s.head][s.key - s.query + 8]` (see element() for indices). All of these get their
/// gradients. The fused kernels run it a row of scores at a time, forward and backward: no [Tq, Tk]
/// array is stored. A result of -inf hides the key from the query.
using ScoreFunction = std::function<Var(const Score&)>;

/// First `first`, then `second` of its results.
ScoreFunction operator|(const ScoreFunction& first, const ScoreFunction& second);

namespace score {

/// value - slope |key - query| with the slope of the head (Press et al. 2022; under a causal mask
/// their bias exactly). slopes [Hq] may be learned.
ScoreFunction alibi(const Arg& slopes);
/// With their slopes for so many heads.
ScoreFunction alibi();
/// The slopes of Press et al. 2022, float32 [heads]: 2^(-8 (i + 1) / n) for i < n where n is a
/// power of two, and for the heads beyond the last power of two every other slope of twice as many.
Tensor alibi_slopes(int64_t heads);

/// limit tanh(value / limit) (Gemma Team 2024, section 2). Throws Error for a limit not above 0.
ScoreFunction softcap(double limit);

/// value / temperature, a learned scalar or one for each head, [Hq].
ScoreFunction temperature(const Arg& temperature);

struct T5Options {
  /// Whether keys behind the query have buckets of their own (an encoder); else they share the
  /// bucket of the query's own place (a decoder).
  bool bidirectional = true;
  int64_t max_distance = 128;
};

/// value + table[bucket(key - query)][head], the relative bias of T5 (Raffel et al. 2020, section
/// 2.1): half of the buckets for single distances, the others ever wider up to max_distance. table
/// [buckets, Hq] as T5's relative_attention_bias. Throws Error for fewer than 4 buckets or a
/// max_distance that is not beyond the single distances.
ScoreFunction t5_bias(const Arg& table, const T5Options& options = {});
/// The bucket of each relative place key - query (int32, any shape).
Tensor t5_buckets(const Tensor& places, int64_t buckets, const T5Options& options = {});

/// value + table[head][clamp(key - query, -w, w) + w] for a table [Hq, 2 w + 1]: a learned bias for
/// every distance up to w (Shaw et al. 2018 clip so).
ScoreFunction relative_bias(const Arg& table);

}  // namespace score
}  // namespace RAPT_API
