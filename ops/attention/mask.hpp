// Which keys a query of an attention operator sees.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// What limits a query's view: a key is seen where every limit allows it, and without limits
/// everywhere. Made by the functions below and joined by `&`:
/// `causal() & lengths(source_lengths)`. A query that sees no key gets zeros, in value, weights and
/// gradient.
///
/// In attention() and additive_attention(), what a hidden key and its value hold reaches no query
/// that does not see them, NaN included: neither results nor gradients. Second derivatives, and
/// products written out with masked(), multiply it by 0.
///
/// Where queries and keys differ in number, the last query stands at the last key, as in decoding
/// with a cache: the place of query i is i + (Tk - Tq).
struct Mask {
  bool causal = false;
  int64_t window = -1;    // the farthest a key may be; -1: any
  Var key_lengths{};      // int32 [B], or empty
  Var prefix{};           // int32 [B] or [1], or empty
  Var query_documents{};  // int32 [B or 1, Tq], or empty
  Var key_documents{};    // int32 [B or 1, Tk], where query_documents are
  Var keep{};             // boolean [B or 1, H or 1, Tq or 1, Tk], or empty
  Var bias{};             // float, broadcasts to [B, H, Tq, Tk], or empty

  bool limits_nothing() const {
    return !causal && window < 0 && key_lengths.is_empty() && prefix.is_empty() &&
           query_documents.is_empty() && keep.is_empty() && bias.is_empty();
  }
};

/// A query sees the keys up to its own place: query i of Tq sees the keys j <= i + (Tk - Tq). With
/// Tq > Tk the first queries see none.
Mask causal();

/// Of sentence b, the first key_lengths[b] keys are seen; key_lengths is int32 [B]. A length below
/// 0 or above Tk is an Error when it is computed.
Mask lengths(const Arg& key_lengths);

/// Keys at most `width` places from the query's place are seen, before and after it: 2 width + 1
/// keys with its own. With causal(), the width keys before it and its own. Throws Error for a width
/// below 0.
Mask sliding_window(int64_t width);

/// The first keys are seen by every query, the others as causal() has it: a prefix language model
/// (Raffel et al. 2020, section 3.2.1). How many: a number, or int32 [B].
Mask prefix(const Arg& keys);

/// A query sees the keys of its own document, in rows that hold several: ids int32 [B or 1, T],
/// equal within a document. Documents that follow each other in rising order of their ids are
/// skipped as a whole where they meet no query of theirs.
Mask documents(const Arg& ids);
/// The same for queries and keys of different sequences, [B or 1, Tq] and [B or 1, Tk].
Mask documents(const Arg& query_ids, const Arg& key_ids);

/// Keys are seen where `keep` holds; it is boolean, [B, Tk] for all queries alike, [B, Tq, Tk] for
/// all heads alike, or [B, H, Tq, Tk]. Every size but Tk may be 1.
Mask keep(const Arg& keep);

/// The bias, a float array that broadcasts to [B, H, Tq, Tk], is added to the scores, and hides
/// keys where it is -inf. It gets its gradient.
Mask additive(const Arg& bias);

/// What both allow; biases are added.
Mask operator&(const Mask& a, const Mask& b);

/// The mask as a boolean array that broadcasts to [batch, H, queries, keys]; of a bias it holds
/// whether it is above -inf. Throws Error where the mask's sizes are others.
Var as_boolean(const Mask& mask, Graph& graph, int64_t batch, int64_t queries, int64_t keys,
               SourceLocation here = SourceLocation::current());

/// Scores [B, H, Tq, Tk], or [B, Tq, Tk] for a mask that is the same for all heads, with the mask's
/// bias added, and -inf where it hides the key: softmax() gives those weight 0, and a row of
/// nothing else zeros.
Var masked(const Arg& scores, const Mask& mask);

}  // namespace RAPT_API
