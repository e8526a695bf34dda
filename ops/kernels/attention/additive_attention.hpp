// Additive attention, fused: computes scores, softmax and context without storing a [B, T, A]
// array. Scores follow Bahdanau, Cho and Bengio (2015): v . tanh(query + key), with both already
// projected.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// A [B, T, n] operand with its strides in elements, so that [T, B, n] works as well. The last axis
/// is contiguous.
template <class T>
struct Sequences {
  T* data = nullptr;
  int64_t batch = 0;
  int64_t time = 0;
};

/// An operand with one element per pair of query and key, [B, Tq, T]. A stride of 0 broadcasts.
template <class T>
struct OfPairs {
  T* data = nullptr;
  int64_t batch = 0;
  int64_t query = 0;
  int64_t key = 0;
};

template <class T>
struct AdditiveAttention {
  int64_t batch = 0;          // B
  int64_t queries = 1;        // Tq
  int64_t keys = 0;           // T
  int64_t width = 0;          // A
  int64_t memory_width = 0;   // M
  Sequences<const T> query;   // [B, Tq, A]
  Sequences<const T> key;     // [B, T, A]
  const T* v = nullptr;       // [A]
  Sequences<const T> memory;  // [B, T, M]
  // A key is visible if its time is below the length, its `keep` byte is not zero and its bias is
  // above -inf. The bias is added to the score. Null means no such limit.
  const int32_t* lengths = nullptr;  // [B]
  OfPairs<const uint8_t> keep;
  OfPairs<const T> bias;
};

/// Computes weights = softmax of the scores over the visible keys, and context = the weighted sum
/// of the memory. A query that sees no key gets zeros for both. Keys and memory that are not
/// visible are not read.
template <class T>
struct AdditiveForward {
  AdditiveAttention<T> in;
  Sequences<T> weights;  // [B, Tq, T]
  Sequences<T> context;  // [B, Tq, M], or null
};

/// Computes gradients from the stored weights and recomputes tanh. Gradients whose pointer is null
/// are skipped.
template <class T>
struct AdditiveBackward {
  AdditiveAttention<T> in;
  Sequences<const T> weights;       // [B, Tq, T]
  Sequences<const T> grad_context;  // [B, Tq, M], or null for zeros
  Sequences<const T> grad_weights;  // [B, Tq, T], or null for zeros
  Sequences<T> grad_query;          // [B, Tq, A], overwritten
  Sequences<T> grad_key;            // [B, T, A]
  Sequences<T> grad_memory;         // [B, T, M]
  T* grad_v_parts = nullptr;        // [B, A]: one row per sentence, input of sum_parts
  // A decoder calls this at every step for the same keys. With true, gradients are added to the
  // existing values.
  bool add_key = false;
  bool add_memory = false;
  bool add_v = false;
  OfPairs<T> grad_bias = {};  // overwritten
};

template <class T>
struct AdditiveAttentionKernels {
  /// Handles queries [begin, end) of B * Tq. Any split gives bitwise identical results.
  void (*forward)(const AdditiveForward<T>&, int64_t begin, int64_t end);
  /// Handles sentences [begin, end). Any split gives bitwise identical results. `scratch` has T
  /// elements and must not be shared by concurrent calls.
  void (*backward)(const AdditiveBackward<T>&, int64_t begin, int64_t end, T* scratch);
  /// Computes out[a] (+)= sum over b of parts[b, a] for a in [begin, end). The sum runs over
  /// ascending b.
  void (*sum_parts)(const T* parts, int64_t batch, int64_t width, T* out, bool add, int64_t begin,
                    int64_t end);
};

struct AdditiveAttentionTable {
  AdditiveAttentionKernels<float> f32;
  AdditiveAttentionKernels<double> f64;
};

RAPT_KERNEL_TABLE(AdditiveAttentionTable)

}  // namespace rapt::kernels
