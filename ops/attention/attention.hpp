// Scaled dot-product attention as one fused operator. No [Tq, Tk] array is stored, neither forward
// nor backward.
#pragma once

#include "framework/core/api.hpp"
#include "ops/attention/attention_options.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Computes dropout(softmax(score(scale q k') + bias)) v (Vaswani et al. 2017). Shapes: q
/// [B, Hq, Tq, D], k [B, Hk, Tk, D], v [B, Hk, Tk, Dv]; the result is [B, Hq, Tq, Dv]. Hk divides
/// Hq, and each group of Hq / Hk adjacent query heads shares one head of k and v (Ainslie et al.
/// 2023). Memory grows with Tq + Tk, not with Tq * Tk (Dao et al. 2022). Only a second derivative
/// stores the weights.
///
/// A query that sees no key gets zeros and passes no gradient. Operands may be strided views; they
/// are not copied. The result is a view of an array [B, Tq, Hq, Dv]. So reshape() and transpose()
/// can split projections [B, T, H D] into heads, and merge the result's heads, at no cost.
///
/// Throws Error if shapes or types do not fit, or if dropout is outside [0, 1].
Var attention(const Arg& q, const Arg& k, const Arg& v, const AttentionOptions& options = {});

}  // namespace v0
}  // namespace rapt
