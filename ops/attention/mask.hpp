// Masks: the keys that each query of an attention operator sees.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Set of limits on the keys that a query sees. A key is visible if every limit allows it. Without
/// limits all keys are visible. The functions below make masks, and `&` combines them:
/// `causal() & lengths(source_lengths)`. A query that sees no key gets zeros as its value, weights
/// and gradient.
///
/// In attention() and additive_attention(), hidden keys and their values are not used, so that even
/// NaN in them reaches neither results nor gradients. Second derivatives, and products written with
/// masked(), multiply hidden values by 0 instead.
///
/// If the numbers of queries and keys differ, the last query is aligned with the last key, as in
/// decoding with a cache. So the position of query i is i + (Tk - Tq).
struct Mask {
  bool causal = false;
  int64_t window = -1;    ///< Largest distance of a visible key; -1 for any.
  Var key_lengths{};      ///< int32 [B], or empty.
  Var prefix{};           ///< int32 [B] or [1], or empty.
  Var query_documents{};  ///< int32 [B or 1, Tq], or empty.
  Var key_documents{};    ///< int32 [B or 1, Tk]; set together with query_documents.
  Var keep{};             ///< Boolean [B or 1, H or 1, Tq or 1, Tk], or empty.
  Var bias{};             ///< Float, broadcasts to [B, H, Tq, Tk], or empty.

  bool limits_nothing() const {
    return !causal && window < 0 && key_lengths.is_empty() && prefix.is_empty() &&
           query_documents.is_empty() && keep.is_empty() && bias.is_empty();
  }
};

/// Returns a mask that shows a query the keys up to its own position. Query i of Tq sees the keys j
/// <= i + (Tk - Tq). If Tq > Tk the first queries see no key.
Mask causal();

/// Returns a mask that shows the first key_lengths[b] keys of sentence b. key_lengths is int32 [B].
/// Throws Error at run time if a length is below 0 or above Tk.
Mask lengths(const Arg& key_lengths);

/// Returns a mask that shows the keys at most `width` positions before or after the query's
/// position. These are `2 width + 1` keys. Combined with causal() they are the query's own position
/// and the `width` before it. Throws Error if width is below 0.
Mask sliding_window(int64_t width);

/// Returns a mask that shows the first keys to every query, and the others as causal() does. This
/// is the mask of a prefix language model (Raffel et al. 2020, section 3.2.1). `keys` is the number
/// of these first keys, as a number or as int32 [B].
Mask prefix(const Arg& keys);

/// Returns a mask that shows a query the keys of its own document, in rows that hold several
/// documents. `ids` is int32 [B or 1, T] and is constant within a document. If the ids of
/// successive documents ascend, whole blocks of keys are skipped where no query belongs to their
/// documents.
Mask documents(const Arg& ids);
/// Returns the same mask for queries and keys of different sequences, [B or 1, Tq] and
/// [B or 1, Tk].
Mask documents(const Arg& query_ids, const Arg& key_ids);

/// Returns a mask that shows the keys where `keep` is true. `keep` is boolean: [B, Tk] for all
/// queries and heads, [B, Tq, Tk] for all heads, or [B, H, Tq, Tk]. Every size except Tk may be 1.
Mask keep(const Arg& keep);

/// Returns a mask that adds a bias to the scores and hides the keys whose bias is -inf. The bias is
/// a float array that broadcasts to [B, H, Tq, Tk]. It gets its gradient.
Mask additive(const Arg& bias);

/// Combines two masks: a key is visible if both allow it. Biases are added.
Mask operator&(const Mask& a, const Mask& b);

/// Returns the mask as a boolean array that broadcasts to [batch, H, queries, keys]. A bias becomes
/// true where it is above -inf. Throws Error if the mask has other sizes.
Var as_boolean(const Mask& mask, internal::Graph& graph, int64_t batch, int64_t queries,
               int64_t keys, SourceLocation here = SourceLocation::current());

/// Returns the scores with the mask's bias added, and with -inf for hidden keys. The scores are
/// [B, H, Tq, Tk], or [B, Tq, Tk] if the mask is the same for all heads. softmax() gives hidden
/// keys a weight of 0, and gives zeros to a row without visible keys.
Var masked(const Arg& scores, const Mask& mask);

}  // namespace v0
}  // namespace rapt
