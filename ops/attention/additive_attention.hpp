// Additive attention as one fused operator. No [B, T, A] array is stored.
#pragma once

#include "framework/core/api.hpp"
#include "ops/attention/mask.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Computes attention with the additive score v . tanh(query + key) (Bahdanau, Cho and Bengio
/// 2015). The query and the keys are already projected. Shapes: query [B, A] or [B, Tq, A], keys
/// [B, T, A], v [A], memory [B, T, M].
///
/// Returns the context, [B, M] or [B, Tq, M]. It is the memory weighted by the softmax of the
/// scores over the visible keys. The result's output(1) holds the weights, [B, T] or [B, Tq, T].
///
/// A query that sees no key gets a context and weights of zeros, and passes no gradient. Hidden
/// keys and their memory are not read. `keys` and `memory` may be views such as a transposed
/// [T, B, A]. All kinds of masks are supported, without a head axis. A query [B, A] has the
/// position of the last key.
///
/// Throws Error if shapes or types do not fit, or if the mask differs between heads.
Var additive_attention(const Arg& query, const Arg& keys, const Arg& v, const Arg& memory,
                       const Mask& mask = {});

}  // namespace v0
}  // namespace rapt
