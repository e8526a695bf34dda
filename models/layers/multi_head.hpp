// Multi-head attention.
#pragma once

#include <array>

#include "framework/core/api.hpp"
#include "models/layers/linear.hpp"
#include "models/layers/positions.hpp"
#include "ops/attention/cached_attention.hpp"
#include "ops/attention/mask.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Cache location of a decoding step, see cached_attention().
struct CachePlace {
  Var ancestors;  ///< int32 [R, T]: the cache row of each earlier step that a row continues
  Var place;      ///< int32 [1]: the current step
};

/// Keys and values of sentences, computed once, and the sentence that each group of rows attends
/// to. See shared_attention().
struct SharedMemory {
  Var keys, values;  ///< [B, S, Hk, D]
  Var sentences;     ///< int32 [L]
  Var lengths;       ///< int32 [B]
};

struct MultiHeadOptions {
  double dropout = 0;  ///< dropout of the attention weights
  /// Number of key heads (and value heads). Each is shared by heads / key_heads neighbouring query
  /// heads (Ainslie et al. 2023). 1 is multi-query attention (Shazeer 2019); 0 means as many as
  /// `heads`.
  int64_t key_heads = 0;
  /// Relative positions for self-attention. Attention to a memory ignores them.
  RelativePositions positions = {};
};

/// Multi-head attention (Vaswani et al. 2017, section 3.2.2), as torch.nn.MultiheadAttention with
/// batch_first.
struct MultiHeadAttention {
  /// [(H + 2 Hk) D, C]. The rows of all query heads come first, then those of keys, then those of
  /// values, head by head. With Hk = H this is [3C, C], as PyTorch's in_proj_weight.
  Linear in_proj;
  Linear out_proj;  ///< [C, H D]; its columns read the outputs of the heads, head by head
  RelativePositions positions;
  int64_t heads = 1;
  int64_t key_heads = 1;
  double dropout = 0;

  MultiHeadAttention() = default;
  /// Throws Error if `heads` does not divide `width`, or if key_heads does not divide `heads`.
  MultiHeadAttention(int64_t width, int64_t heads, Key key, const MultiHeadOptions& options = {});

  int64_t width() const { return out_proj.in(); }
  int64_t depth() const { return width() / heads; }
  /// Self-attention of x [B, T, C]. One product computes queries, keys and values.
  Var operator()(const Arg& x, const Mask& mask = {}) const;
  /// Attention of x [B, T, C] to memory [B, S, C].
  Var operator()(const Arg& x, const Arg& memory, const Mask& mask = {}) const;

  /// Self-attention for one decoding step: x [R, C] -> [R, C]. Each row attends to itself and to
  /// its ancestors in the cache.
  Var step(const Arg& x, const KeyValueCache& cache, const CachePlace& at) const;
  /// Returns the keys and values of a memory [B, S, C], each [B, S, Hk, D].
  std::array<Var, 2> keys_values(const Arg& memory) const;
  /// Attention of x [R, C] to shared memories: each row attends to its own sentence.
  Var step(const Arg& x, const SharedMemory& memory) const;
  void visit(auto&& f) {
    f("in_proj", in_proj);
    f("out_proj", out_proj);
    f("positions", positions);
  }

 private:
  Var queries(const Arg& x) const;
  Var attend(const Var& q, const Var& k, const Var& v, const Mask& mask,
             const ScoreFunction& score) const;
};

}  // namespace v0
}  // namespace rapt
