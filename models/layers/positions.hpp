// What tells the places of a sequence apart: added to embeddings, or at work inside attention.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/parameter.hpp"
#include "ops/attention/score.hpp"

namespace rapt RAPT_API {

enum class PositionKind {
  none,
  sinusoidal,  // added to the embeddings (Vaswani et al. 2017, section 3.5)
  learned,     // the same, learned
  rotary,      // queries and keys turned by their places (Su et al. 2021)
  alibi,       // scores fall with the distance, for each head at its own rate (Press et al. 2022)
  learned_alibi,  // the same, with rates that are learned
  t5,             // a learned bias for ranges of distances (Raffel et al. 2020, section 2.1)
};

/// [length, width]: sin(t / 10000^(2i / width)) at column 2i, the cosine at 2i + 1 (Vaswani et al.
/// 2017, section 3.5).
Tensor sinusoidal_positions(int64_t length, int64_t width);

/// The kinds that are added to embeddings; the others leave x as it is.
struct Positions {
  Tensor table;      // [length, C]; of sinusoids
  Parameter weight;  // [length, C]; learned

  Positions() = default;
  Positions(PositionKind kind, int64_t length, int64_t width, Key key);

  /// x [B, T, C] -> the same shape. Throws Error where T is above the length.
  Var operator()(const Arg& x) const;
  /// x [R, C], all at one place, int32 [1] -> the same shape. Throws Error, when it is computed,
  /// for a place above the length.
  Var at(const Arg& x, const Arg& place) const;
  int64_t length() const { return length_; }
  void visit(auto&& f) { f("weight", weight); }

 private:
  Var table_of(DType dtype) const;

  int64_t length_ = 0;
};

struct RelativePositionOptions {
  PositionKind kind = PositionKind::none;
  int64_t heads = 1;
  int64_t depth = 0;     // of a head; even, for rotary
  int64_t length = 512;  // the most places, for rotary
  /// Whether a query looks ahead too: T5's buckets tell before from behind then.
  bool bidirectional = true;
};

/// The kinds that are at work inside attention, of a sequence to itself; the others do nothing.
/// Copies share what is learned: T5's layers all have one table.
struct RelativePositions {
  static constexpr int64_t buckets = 32;

  Tensor rotations;  // [L, D], see rotary_table(); of rotary
  Parameter slopes;  // [H]; of learned_alibi, which start as alibi's
  Parameter table;   // [buckets, H]; of t5, zeros at the start
  PositionKind kind = PositionKind::none;
  bool bidirectional = true;

  RelativePositions() = default;
  /// Throws Error for rotary with an odd depth.
  explicit RelativePositions(const RelativePositionOptions& options);

  /// Queries or keys [B, T, .., D] turned by their places, of which the first is `first`, int32 [1]
  /// or [B], or 0; x itself for the other kinds.
  Var rotate(const Var& x, const Var& first = {}) const;
  /// What happens to scores; an empty function where nothing does.
  ScoreFunction score() const;
  /// What is added to the scores of one query, at `place` int32 [1], with keys at 0 .. keys - 1:
  /// [H, keys]; an empty Var where nothing is.
  Var bias_at(const Var& place, int64_t heads, int64_t keys, DType dtype) const;
  void visit(auto&& f) {
    f("slopes", slopes);
    f("table", table);
  }
};

}  // namespace rapt
