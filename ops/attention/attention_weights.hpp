// The weights of attention, and what they are like, for those who want to look at them.
#pragma once

#include "framework/core/api.hpp"
#include "ops/attention/attention_options.hpp"

namespace rapt RAPT_API {

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

}  // namespace RAPT_API
