// Position encodings: added to embeddings, or applied inside attention.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/parameter.hpp"
#include "ops/attention/score.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

enum class PositionKind {
  none,
  sinusoidal,  ///< added to the embeddings (Vaswani et al. 2017, section 3.5)
  learned,     ///< learned vectors, added to the embeddings
  rotary,      ///< queries and keys are rotated by their positions (Su et al. 2021)
  alibi,       ///< scores decrease linearly with distance, one slope per head (Press et al. 2022)
  learned_alibi,  ///< ALiBi with learned slopes
  t5,             ///< a learned bias per range of distances (Raffel et al. 2020, section 2.1)
};

/// Returns the table of sinusoids [length, width]: sin(t / 10000^(2i / width)) in column 2i and the
/// cosine in column 2i + 1 (Vaswani et al. 2017, section 3.5).
Tensor sinusoidal_positions(int64_t length, int64_t width);

/// Position encodings that are added to embeddings: sinusoidal and learned. For other kinds x is
/// unchanged.
struct Positions {
  Tensor table;      ///< [length, C]; sinusoidal only
  Parameter weight;  ///< [length, C]; learned only

  Positions() = default;
  Positions(PositionKind kind, int64_t length, int64_t width, Key key);

  /// x [B, T, C] -> the same shape. Throws Error if T exceeds the length.
  Var operator()(const Arg& x) const;
  /// Adds the encoding of one position, int32 [1], to all rows: x [R, C] -> the same shape. Throws
  /// Error at run time if the position is beyond the length.
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
  int64_t depth = 0;     ///< width of a head; must be even for rotary
  int64_t length = 512;  ///< maximum sequence length, for rotary
  /// True if a query also attends to later positions. T5's buckets then distinguish before from
  /// after.
  bool bidirectional = true;
};

/// Position encodings inside self-attention: rotary, ALiBi and T5. Other kinds do nothing. Copies
/// share the learned parameters: all T5 layers have one table.
struct RelativePositions {
  static constexpr int64_t buckets = 32;

  Tensor rotations;  ///< [L, D], see rotary_table(); rotary only
  Parameter slopes;  ///< [H]; learned_alibi only, initialised as alibi's slopes
  Parameter table;   ///< [buckets, H]; t5 only, initialised with zeros
  PositionKind kind = PositionKind::none;
  bool bidirectional = true;

  RelativePositions() = default;
  /// Throws Error for rotary with an odd depth.
  explicit RelativePositions(const RelativePositionOptions& options);

  /// Rotates queries or keys [B, T, .., D] by their positions. `first` is the position of the first
  /// one, int32 [1] or [B]; empty means 0. Returns x itself unless the kind is rotary.
  Var rotate(const Var& x, const Var& first = {}) const;
  /// Returns the function applied to the scores; empty if there is none.
  ScoreFunction score() const;
  /// Returns the bias of one query at `place`, int32 [1], for keys 0 .. keys - 1: [H, keys].
  /// Returns an empty Var if there is no bias.
  Var bias_at(const Var& place, int64_t heads, int64_t keys, DType dtype) const;
  void visit(auto&& f) {
    f("slopes", slopes);
    f("table", table);
  }
};

}  // namespace v0
}  // namespace rapt
