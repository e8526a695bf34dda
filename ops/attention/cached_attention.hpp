// Attention for decoding: one query per row, with keys and values of earlier steps in a cache.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Keys [T, N, Hk, D] and values [T, N, Hk, Dv] of earlier steps. Both are contiguous and have room
/// for T steps of N rows. cached_attention() writes into them.
struct KeyValueCache {
  Tensor keys;
  Tensor values;
};

/// Computes one decoding step of self-attention for R <= N rows. It first writes the rows' new keys
/// k [R, Hk, D] and values v [R, Hk, Dv] into the cache at [place, r]. Then query r of q [R, Hq, D]
/// attends to the steps t = 0 .. place. Its key and value of step t are at the cache's row
/// ancestors[r, t]. So hypotheses with a common past share its memory, and a reordering of the rows
/// changes only `ancestors`.
///
/// Returns softmax(scale q k' + bias) v, [R, Hq, Dv]. Hk divides Hq. A scale of 0 stands for 1 /
/// sqrt(D). The bias [Hq, T] is optional: one value per head and step, common to all rows. A head
/// whose keys all have a bias of -inf gives zeros.
///
/// `ancestors` is int32 [R, T] with ancestors[r, place] == r. `place` is int32 [1]. It is data, not
/// an attribute, so that all steps have the same plan. The time is O(place). No gradient passes. A
/// cache may take part in only one step per run, because two steps on one tape are not ordered.
///
/// Throws Error if shapes or types do not fit. Throws Error at run time if the place or an ancestor
/// is outside the cache.
Var cached_attention(const Arg& q, const Arg& k, const Arg& v, const KeyValueCache& cache,
                     const Arg& ancestors, const Arg& place, double scale = 0,
                     const Var& bias = {});

/// Computes attention to memories that several rows share, such as the hypotheses of one beam
/// search. The W rows i W .. i W + W - 1 of q [L W, Hq, D] attend to the memory m = memory[i], and
/// there to the first lengths[m] positions. Shapes: keys [B, S, Hk, D], values [B, S, Hk, Dv],
/// memory int32 [L], lengths int32 [B]. Returns [L W, Hq, Dv], with zeros where the length is 0. No
/// gradient passes.
///
/// Throws Error if shapes or types do not fit. Throws Error at run time if a memory does not exist.
Var shared_attention(const Arg& q, const Arg& keys, const Arg& values, const Arg& memory,
                     const Arg& lengths, double scale = 0);

}  // namespace v0
}  // namespace rapt
