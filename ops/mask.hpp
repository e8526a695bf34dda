// Which keys a query of an attention operator sees.
#pragma once

#include <rapt/framework/op.hpp>

namespace rapt {

/// What limits a query's view: a key is seen where every limit allows it, and without limits
/// everywhere. Made by the functions below and joined by `&`:
/// `causal() & lengths(source_lengths)`.
struct Mask {
  bool causal = false;
  Var key_lengths{};  // int32 [B], or empty
  Var keep{};         // boolean [B or 1, H or 1, Tq or 1, Tk], or empty

  bool limits_nothing() const { return !causal && !key_lengths && !keep; }
};

/// A query sees the keys up to its own place. Where queries and keys differ in number, the last
/// query stands at the last key, as in decoding with a cache: query i of Tq sees the keys
/// j <= i + (Tk - Tq). With Tq > Tk the first queries see none.
Mask causal();

/// Of sentence b, the first key_lengths[b] keys are seen; key_lengths is int32 [B].
Mask lengths(const Arg& key_lengths);

/// Keys are seen where `keep` holds; it is boolean, [B, Tk] for all queries alike, [B, Tq, Tk] for
/// all heads alike, or [B, H, Tq, Tk]. Every size but Tk may be 1.
Mask keep(const Arg& keep);

/// What both allow.
Mask operator&(const Mask& a, const Mask& b);

/// The mask as a boolean array that broadcasts to [batch, H, queries, keys]. Throws Error where the
/// mask's sizes are others.
Var as_boolean(const Mask& mask, Graph& graph, int64_t batch, int64_t queries, int64_t keys);

}  // namespace rapt
