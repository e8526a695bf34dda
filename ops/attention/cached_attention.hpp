// Attention for decoding: one query a row, to keys and values that were computed before.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// Keys and values of earlier steps: [T, N, Hk, D] and [T, N, Hk, Dv], contiguous, room for T steps
/// of N rows. cached_attention() writes into it.
struct KeyValueCache {
  Tensor keys;
  Tensor values;
};

/// One step of self-attention. Row r's key and value of this step, k [R, Hk, D] and v [R, Hk, Dv]
/// with R <= N, are written into the cache at [place, r]; then its query, q [R, Hq, D], looks at
/// the steps t = 0 .. place, of which it finds its own at the cache's row ancestors[r, t]. So rows
/// that share a past share its memory, and putting rows in another order changes `ancestors` alone.
/// Hk divides Hq. Gives softmax(scale q k' + bias) v, [R, Hq, Dv]; a scale of 0 is 1 / sqrt(D). The
/// bias [Hq, T], or none, is that of each step's key, for all rows alike; a head all of whose keys
/// have -inf gives zeros.
///
/// ancestors is int32 [R, T], and ancestors[r, place] is r; place is int32 [1]: data, so that every
/// step has the same plan. Costs O(place). No gradient passes. A cache takes part in one step a
/// run: two steps on one tape would not wait for each other.
///
/// Throws Error where shapes or types do not fit and, when it is computed, for a place or an
/// ancestor outside the cache.
Var cached_attention(const Arg& q, const Arg& k, const Arg& v, const KeyValueCache& cache,
                     const Arg& ancestors, const Arg& place, double scale = 0,
                     const Var& bias = {});

/// Attention of rows to memories that several of them share: of q [L W, Hq, D], the rows
/// i W .. i W + W - 1 look at the first lengths[m] places of memory m = memory[i]. keys
/// [B, S, Hk, D], values [B, S, Hk, Dv], memory int32 [L], lengths int32 [B]. Gives [L W, Hq, Dv];
/// zeros where a length is 0. No gradient passes.
///
/// Throws Error where shapes or types do not fit and, when it is computed, for a memory that is not
/// there.
Var shared_attention(const Arg& q, const Arg& keys, const Arg& values, const Arg& memory,
                     const Arg& lengths, double scale = 0);

}  // namespace RAPT_API
