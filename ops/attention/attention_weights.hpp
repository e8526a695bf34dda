// The weights of attention and statistics of them, for inspection.
#pragma once

#include "framework/core/api.hpp"
#include "ops/attention/attention_options.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct WeightsOptions {
  /// True for the mean over the heads, [B, Tq, Tk].
  bool average = false;
  /// Number of the one query head to return, [B, Tq, Tk]; -1 for all heads.
  int64_t head = -1;
};

/// Returns the attention weights before dropout: softmax(score(scale q k') + bias),
/// [B, Hq, Tq, Tk]. For one head, or for the mean, no array larger than the result is stored.
/// Throws Error if the head does not exist, or if a head is given together with `average`.
Var attention_weights(const Arg& q, const Arg& k, const AttentionOptions& options = {},
                      const WeightsOptions& which = {});

struct StatisticsOptions {
  /// Number of the largest weights to return for each query, together with their keys.
  int64_t top = 0;
};

/// Statistics of each query's weights. They are computed without storing the weights.
struct AttentionStatistics {
  Var entropy;  ///< Entropy -sum w log w in nats, [B, Hq, Tq].
  Var largest;  ///< Largest weight, [B, Hq, Tq].
  Var values;   ///< Largest weights, descending, [B, Hq, Tq, top]. No gradient passes.
  Var keys;     ///< Keys of `values`, int32. -1 where the weight is 0.
};

/// Returns statistics of the weights before dropout. A query that sees no key gets zeros. Throws
/// Error as attention_weights() does, and if `top` is negative.
AttentionStatistics attention_statistics(const Arg& q, const Arg& k,
                                         const AttentionOptions& options = {},
                                         const StatisticsOptions& which = {});

}  // namespace v0
}  // namespace rapt
