// Additive attention, fused: no [B, T, A] array is stored.
#pragma once

#include "framework/core/api.hpp"
#include "ops/attention/mask.hpp"

namespace rapt RAPT_API {

/// Attention with the scores of Bahdanau, Cho and Bengio (2015), v . tanh(query + key), query and
/// keys already projected: query [B, A] or [B, Tq, A], keys [B, T, A], v [A], memory [B, T, M].
/// Gives the context [B, M] or [B, Tq, M]: the memory weighted by the softmax of the scores over
/// the keys seen. The result's output(1) are the weights, [B, T] or [B, Tq, T].
///
/// A query that sees no key gets zeros for both, and gives no gradient. Keys and memory that are
/// not seen are not read. keys and memory may be views such as a transposed [T, B, A]. All kinds of
/// masks do, without heads; one query without an axis of its own stands at the last key.
///
/// Throws Error where shapes or types do not fit, and for a mask that differs between heads.
Var additive_attention(const Arg& query, const Arg& keys, const Arg& v, const Arg& memory,
                       const Mask& mask = {});

}  // namespace RAPT_API
