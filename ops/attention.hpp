// Scaled dot-product attention, fused: no [Tq, Tk] array is stored, forward or backward.
#pragma once

#include <rapt/ops/mask.hpp>
#include <rapt/ops/score.hpp>

namespace rapt {

struct AttentionOptions {
  Mask mask = {};
  /// What scores are multiplied by; 0: 1 / sqrt(D).
  double scale = 0;
  /// Makes new scores of the scaled ones (see ops/score.hpp), before masks and the bias. What it
  /// takes from outside gets its gradients.
  ScoreFunction score = {};
  /// Added to the scores; broadcasts to [B, Hq, Tq, Tk]. It gets its gradient, in its own
  /// shape. -inf hides a key as a mask does.
  Var bias = {};
  /// The probability that a weight is dropped, on a tape for training.
  double dropout = 0;
};

/// dropout(softmax(score(scale q k') + bias)) v (Vaswani et al. 2017): q [B, Hq, Tq, D], k [B, Hk,
/// Tk, D], v [B, Hk, Tk, Dv], where Hk divides Hq and neighbouring query heads share a head of k
/// and v (Ainslie et al. 2023); gives [B, Hq, Tq, Dv]. Memory grows with Tq + Tk, not with their
/// product (Dao et al. 2022); only a second derivative stores the weights.
///
/// A query that sees no key gets zeros and gives no gradient. Operands are read where they are, and
/// the result is a view of [B, Tq, Hq, Dv]: projections [B, T, H D] split into heads, and the
/// result's heads merged again, by reshape() and transpose() cost nothing.
///
/// Throws Error where shapes or types do not fit, and for a dropout outside [0, 1].
Var attention(const Arg& q, const Arg& k, const Arg& v, const AttentionOptions& options = {});

struct WeightsOptions {
  /// The mean over the heads, [B, Tq, Tk].
  bool average = false;
  /// One query head alone, [B, Tq, Tk]; -1: all.
  int64_t head = -1;
};

/// The weights alone, before dropout: softmax(score(scale q k') + bias), [B, Hq, Tq, Tk]; of one
/// head or averaged, no larger array is stored on the way. Throws Error for a head that is not
/// there, and for a head together with `average`.
Var attention_weights(const Arg& q, const Arg& k, const AttentionOptions& options = {},
                      const WeightsOptions& which = {});

struct StatisticsOptions {
  /// How many of the largest weights of each query are wanted, with their keys.
  int64_t top = 0;
};

/// What a query's weights are like, found without storing them.
struct AttentionStatistics {
  Var entropy;  ///< -sum w log w, in nats: [B, Hq, Tq].
  Var largest;  ///< [B, Hq, Tq]
  Var values;   ///< The largest weights, falling: [B, Hq, Tq, top]; no gradient passes.
  Var keys;     ///< Their keys, int32; where fewer than `top` weights are above 0, -1.
};

/// Statistics of the weights before dropout; a query that sees no key has zeros. Throws Error as
/// attention_weights() does, and for a negative `top`.
AttentionStatistics attention_statistics(const Arg& q, const Arg& k,
                                         const AttentionOptions& options = {},
                                         const StatisticsOptions& which = {});

}  // namespace rapt
