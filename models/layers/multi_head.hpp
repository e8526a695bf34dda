// Attention with several heads.
#pragma once

#include <array>

#include "framework/core/api.hpp"
#include "models/layers/linear.hpp"
#include "models/layers/positions.hpp"
#include "ops/attention/cached_attention.hpp"
#include "ops/attention/mask.hpp"

namespace rapt RAPT_API {

/// Where the rows of a decoding step find what was before, see cached_attention().
struct CachePlace {
  Var ancestors;  // int32 [R, T]
  Var place;      // int32 [1]
};

/// Keys and values of sentences, computed once, and which sentence rows look at: see
/// shared_attention().
struct SharedMemory {
  Var keys, values;  // [B, S, Hk, D]
  Var sentences;     // int32 [L]
  Var lengths;       // int32 [B]
};

struct MultiHeadOptions {
  double dropout = 0;  // of the weights
  /// Heads of keys and values, each shared by heads / key_heads neighbouring heads of queries
  /// (Ainslie et al. 2023); 1 is multi-query attention (Shazeer 2019), 0 is as many as `heads`.
  int64_t key_heads = 0;
  /// Of what looks at itself; attention to a memory knows no places.
  RelativePositions positions = {};
};

/// Attention with several heads (Vaswani et al. 2017, section 3.2.2), torch.nn.MultiheadAttention
/// with batch_first.
struct MultiHeadAttention {
  /// [(H + 2 Hk) D, C]: the rows of all heads of queries, then of keys, then of values, head by
  /// head; with as many heads each, [3C, C] as PyTorch's in_proj_weight.
  Linear in_proj;
  Linear out_proj;  // [C, H D], whose columns are the heads' outputs, head by head
  RelativePositions positions;
  int64_t heads = 1;
  int64_t key_heads = 1;
  double dropout = 0;

  MultiHeadAttention() = default;
  /// Throws Error where `heads` does not divide `width`, or key_heads not `heads`.
  MultiHeadAttention(int64_t width, int64_t heads, Key key, const MultiHeadOptions& options = {});

  int64_t width() const { return out_proj.in(); }
  int64_t depth() const { return width() / heads; }
  /// x [B, T, C] looks at itself; one product gives queries, keys and values.
  Var operator()(const Arg& x, const Mask& mask = {}) const;
  /// x [B, T, C] looks at memory [B, S, C].
  Var operator()(const Arg& x, const Arg& memory, const Mask& mask = {}) const;

  /// Decoding, a place a call: x [R, C] looks at itself and what the cache holds -> [R, C].
  Var step(const Arg& x, const KeyValueCache& cache, const CachePlace& at) const;
  /// The keys and values of a memory [B, S, C], each [B, S, Hk, D].
  std::array<Var, 2> keys_values(const Arg& memory) const;
  /// x [R, C], rows of several sentences, looks at the keys and values of its own.
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

}  // namespace rapt
