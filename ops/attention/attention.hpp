// Scaled dot-product attention, fused: no [Tq, Tk] array is stored, forward or backward.
#pragma once

#include "framework/core/api.hpp"
#include "ops/attention/attention_options.hpp"

namespace rapt RAPT_API {

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

}  // namespace RAPT_API
