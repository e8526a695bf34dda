// Arguments of scaled dot-product attention, fused: no [Tq, Tk] array is stored, forward or
// backward (Milakov and Gimelshein, arXiv:1805.02867; Rabe and Staats, arXiv:2112.05682; Dao et
// al., arXiv:2205.14135).
//
// A plan cuts a pass into tasks. It is a pure function of sizes, strides and options. Tasks write
// disjoint memory, so they may run in any order and on any threads with bitwise identical results.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/kernels/attention/score.hpp"

namespace rapt::kernels {

/// A [B, H, T, n] operand with its strides in elements. A projection's [B, T, H, n] can thus be
/// read in place. The last axis is contiguous.
template <class T>
struct Heads {
  T* data = nullptr;
  int64_t batch = 0, head = 0, time = 0;
};

/// A [B, Hq, Tq, Tk] operand with its strides in elements. A stride of 0 broadcasts.
template <class T>
struct Pairs {
  T* data = nullptr;
  int64_t batch = 0, head = 0, query = 0, key = 0;
};

/// A band limit beyond every sequence length: no limit on that side.
inline constexpr int64_t unlimited = int64_t{1} << 40;

/// Describes weights = softmax over keys of score(scale * q . k) + bias, and out = dropout(weights)
/// v. A query that sees no key has weights, output and gradients of exactly 0. Values of hidden
/// keys never influence a query's results, not even if they are NaN.
template <class T>
struct Attention {
  int64_t batch = 0, query_heads = 0, key_heads = 0;  // B, Hq, Hk; Hk divides Hq
  int64_t queries = 0, keys = 0;                      // Tq, Tk
  int64_t depth = 0, value_depth = 0;                 // D, Dv
  Heads<const T> q;                                   // [B, Hq, Tq, D]
  Heads<const T> k;                                   // [B, Hk, Tk, D]
  Heads<const T> v;                                   // [B, Hk, Tk, Dv]
  T scale = 1;

  // Query i sees keys i + band_first <= j <= i + band_last. Causal attention has band_last 0. If
  // the last query is aligned with the last key, it has band_last Tk - Tq.
  int64_t band_first = -unlimited, band_last = unlimited;
  // Null, or the length of a prefix of keys that all queries see. The prefix lengths of the
  // sentences are prefix_step elements apart. Query i sees keys beyond the prefix only up to i +
  // prefix_last.
  const int32_t* prefix = nullptr;
  int64_t prefix_step = 0, prefix_last = 0;
  // Null, or document numbers [B or 1, Tq] and [B or 1, Tk]; a step of 0 broadcasts. A query sees
  // only keys of its own document.
  const int32_t* query_documents = nullptr;
  const int32_t* key_documents = nullptr;
  int64_t query_documents_step = 0, key_documents_step = 0;
  // Null, or lengths [B]. Keys beyond key_lengths are never read. Queries beyond query_lengths see
  // nothing.
  const int32_t* key_lengths = nullptr;
  const int32_t* query_lengths = nullptr;
  Pairs<const uint8_t> keep;  // [B, Hq, Tq, Tk] or null: 0 hides the key from the query
  Pairs<const T> bias;        // [B, Hq, Tq, Tk] or null; -inf hides the key as well

  const ScoreProgram* score = nullptr;  // may be null; includes derivatives in a backward pass

  // Probability of dropping a weight. The random bits follow from the weight's index in [B, Hq, Tq,
  // Tk]. Kept weights are scaled by 1 / (1 - dropout).
  double dropout = 0;
  uint64_t key0 = 0, key1 = 0;
};

/// Normalisers of the softmax rows: weight = 2^(log2(e) (score - largest) - log_sum). log_sum is
/// the base-2 logarithm of the sum of exp(score - largest). The two are stored separately because a
/// large `largest` would absorb log_sum in rounding. Each is [B, Hq, Tq]; both are 0 if no key is
/// visible.
template <class T>
struct Normalisers {
  T* largest = nullptr;
  T* log_sum = nullptr;
};

template <class T>
struct AttentionForward {
  Attention<T> in;
  Heads<T> out;         // [B, Hq, Tq, Dv]
  Normalisers<T> rows;  // for the passes below; or null
};

/// Computes the weights themselves, before dropout, for inspection.
template <class T>
struct AttentionWeights {
  Attention<T> in;  // v is not read
  Normalisers<const T> rows;
  // [B, heads, Tq, Tk]: the weights of `heads` heads from first_head on. If the head stride is 0,
  // receives the sum over these heads times `factor`. The key stride is 1.
  Pairs<T> weights;
  int64_t first_head = 0, heads = 0;
  T factor = 1;
};

/// Computes statistics of the weights without storing the weights. A query that sees no key has
/// zeros, and -1 for every key.
template <class T>
struct AttentionStatistics {
  Attention<T> in;  // v is not read
  Normalisers<const T> rows;
  T* entropy = nullptr;  // [B, Hq, Tq], in nats
  T* largest = nullptr;  // [B, Hq, Tq]
  // The largest weights of each query in descending order, and their keys: [B, Hq, Tq, top]. If
  // fewer than `top` weights are above 0, the rest are 0 with key -1.
  int64_t top = 0;
  T* values = nullptr;
  int32_t* keys = nullptr;
};

/// The gradient of an array that a score function captured. It is the part [sums, sums + size) of
/// the program's sums.
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
  // All are overwritten. With grouped heads, those of k and v are summed over the group.
  Heads<T> grad_q, grad_k, grad_v;
  // Has the shape of the bias: the gradient is summed over axes of stride 0. If null, it is not
  // computed and there are no bias tasks.
  Pairs<T> grad_bias;
  // Together these cover all sums of the score program.
  const ScoreGradient<T>* grad_score = nullptr;
  int grad_score_count = 0;
};

struct AttentionPlan {
  int64_t tasks = 0;
  size_t scratch_bytes = 0;  ///< Scratch per concurrent task, aligned to 64 bytes.

  // The following fields are set by the backward pass only.
  size_t workspace_bytes = 0;  ///< Shared by all tasks, aligned to 64 bytes; may be 0.
  int64_t combine_tasks = 0;   ///< To run after all `tasks` are done.
  int64_t bias_tasks = 0;      ///< May run at any time.
  size_t sums_at = 0;          ///< Offset of the tasks' score-program sums in the workspace.

  int64_t blocks = 1;      ///< Query blocks (forward) or key splits (backward) per head.
  int64_t task_items = 1;  ///< Number of consecutive blocks per task.
};

}  // namespace rapt::kernels
