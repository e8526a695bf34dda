// Scaled dot-product attention, fused: no [Tq, Tk] array is ever stored, forward or backward
// (Milakov and Gimelshein, arXiv:1805.02867; Rabe and Staats, arXiv:2112.05682; Dao et al.,
// arXiv:2205.14135).
//
// A pass is cut into tasks by its plan, a pure function of sizes, strides and options. Tasks write
// disjoint places and may run in any order on any threads: the bits are the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/kernels/attention/score.hpp"

namespace rapt::kernels {

/// A [B, H, T, n] operand by its strides in elements, so that a projection's [B, T, H, n] is read
/// in place; n is contiguous.
template <class T>
struct Heads {
  T* data = nullptr;
  int64_t batch = 0, head = 0, time = 0;
};

/// A [B, Hq, Tq, Tk] operand by its strides in elements; 0 where it is broadcast.
template <class T>
struct Pairs {
  T* data = nullptr;
  int64_t batch = 0, head = 0, query = 0, key = 0;
};

/// Far beyond every length: a band's side without a limit.
inline constexpr int64_t unlimited = int64_t(1) << 40;

/// weights = softmax over keys of score(scale * q . k) + bias, out = dropout(weights) v. A query
/// that sees no key has weights, output and gradients of exactly 0. What a key holds that a query
/// does not see has no part in what the query gets, NaN neither.
template <class T>
struct Attention {
  int64_t batch = 0, query_heads = 0, key_heads = 0;  // B, Hq, Hk; Hk divides Hq
  int64_t queries = 0, keys = 0;                      // Tq, Tk
  int64_t depth = 0, value_depth = 0;                 // D, Dv
  Heads<const T> q;                                   // [B, Hq, Tq, D]
  Heads<const T> k;                                   // [B, Hk, Tk, D]
  Heads<const T> v;                                   // [B, Hk, Tk, Dv]
  T scale = 1;

  // Query i sees the keys i + band_first <= j <= i + band_last: causal attention has band_last 0,
  // or Tk - Tq where the last query is anchored at the last key.
  int64_t band_first = -unlimited, band_last = unlimited;
  // Null, or how many first keys all queries see, prefix_step elements a sentence; then query i
  // sees others only up to i + prefix_last.
  const int32_t* prefix = nullptr;
  int64_t prefix_step = 0, prefix_last = 0;
  // Null, or [B or 1, Tq] and [B or 1, Tk] (a step of 0): keys are seen where the numbers are
  // equal.
  const int32_t* query_documents = nullptr;
  const int32_t* key_documents = nullptr;
  int64_t query_documents_step = 0, key_documents_step = 0;
  // Null, or [B]: keys from there on are never read; queries from there on see nothing.
  const int32_t* key_lengths = nullptr;
  const int32_t* query_lengths = nullptr;
  Pairs<const uint8_t> keep;  // [B, Hq, Tq, Tk] or null: 0 hides the key from the query
  Pairs<const T> bias;        // [B, Hq, Tq, Tk] or null; -inf hides as well

  const ScoreProgram* score = nullptr;  // for a backward pass a derivative's; null: none

  // Weights dropped with this probability, by the random bits of their index in [B, Hq, Tq, Tk];
  // the others grow by 1 / (1 - dropout).
  double dropout = 0;
  uint64_t key0 = 0, key1 = 0;
};

/// What makes weights of a row's scores again: weight = 2^(log2(e) (score - largest) - log_sum),
/// where log_sum is the base-2 logarithm of the sum of exp(score - largest). Added up, large scores
/// would swallow it. [B, Hq, Tq] each; both are 0 where no key is seen.
template <class T>
struct Normalisers {
  T* largest = nullptr;
  T* log_sum = nullptr;
};

template <class T>
struct AttentionForward {
  Attention<T> in;
  Heads<T> out;         // [B, Hq, Tq, Dv]
  Normalisers<T> rows;  // for the passes below, or null
};

/// The weights themselves, before dropout, where somebody wants to look at them.
template <class T>
struct AttentionWeights {
  Attention<T> in;  // v is not read
  Normalisers<const T> rows;
  // [B, heads, Tq, Tk] of the heads from first_head on, or, with a head stride of 0, their sum
  // times factor; its key stride is 1.
  Pairs<T> weights;
  int64_t first_head = 0, heads = 0;
  T factor = 1;
};

/// What is to be known of weights without storing them. A query that sees no key has zeros, and no
/// links.
template <class T>
struct AttentionStatistics {
  Attention<T> in;  // v is not read
  Normalisers<const T> rows;
  T* entropy = nullptr;  // [B, Hq, Tq], in nats
  T* largest = nullptr;  // [B, Hq, Tq]
  // The largest weights of a query, falling, and their keys: [B, Hq, Tq, top]; where there are not
  // so many above 0, 0 and -1.
  int64_t top = 0;
  T* values = nullptr;
  int32_t* keys = nullptr;
};

/// Where the gradient of an array that a score function captured goes: sums.. of the program's
/// sums.
template <class T>
struct ScoreGradient {
  int64_t sums = 0, size = 0;
  T* out = nullptr;  // contiguous
};

template <class T>
struct AttentionBackward {
  Attention<T> in;
  Heads<const T> out;  // [B, Hq, Tq, Dv]
  Normalisers<const T> rows;
  Heads<const T> grad_out;  // [B, Hq, Tq, Dv]
  // All written. For grouped heads those of k and v are summed over the group.
  Heads<T> grad_q, grad_k, grad_v;
  // In the bias' own shape: with stride 0 where it is broadcast, the gradient is summed. Null where
  // nobody wants it; then there are no bias tasks.
  Pairs<T> grad_bias;
  // They cover the score program's sums.
  const ScoreGradient<T>* grad_score = nullptr;
  int grad_score_count = 0;
};

struct AttentionPlan {
  int64_t tasks = 0;
  size_t scratch_bytes = 0;  ///< For each task running at a time, aligned to 64 bytes.

  // Only the backward pass has what follows.
  size_t workspace_bytes = 0;  ///< Shared by all tasks of the pass, aligned to 64 bytes; may be 0.
  int64_t combine_tasks = 0;   ///< To run when all `tasks` are done.
  int64_t bias_tasks = 0;      ///< To run at any time.
  size_t sums_at = 0;          ///< Where the tasks' sums for score programs begin in the workspace.

  int64_t blocks = 1;      ///< Query blocks (forward) or key splits (backward) of a head.
  int64_t task_items = 1;  ///< Consecutive blocks in a task.
};

}  // namespace rapt::kernels
