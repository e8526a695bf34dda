// Additive attention, fused: scores, softmax and context without a stored [B, T, A] array. Scores
// are those of Bahdanau, Cho and Bengio (2015): v . tanh(query + key), both already projected.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// A [B, T, n] operand: its strides in elements, so that [T, B, n] does as well; n is contiguous.
template <class T>
struct Sequences {
  T* data = nullptr;
  int64_t batch = 0;
  int64_t time = 0;
};

/// Something for every pair of a query and a key, [B, Tq, T]; strides of 0 repeat.
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
  // A key is seen if its time is below the length, its byte is not zero, and its bias, which is
  // added to the score, is above -inf; null: no such limit.
  const int32_t* lengths = nullptr;  // [B]
  OfPairs<const uint8_t> keep;
  OfPairs<const T> bias;
};

/// weights = softmax over the keys seen of the scores; context = the weighted sum of the memory.
/// A query that sees no key gets zeros for both. Keys and memory that are not seen are not read.
template <class T>
struct AdditiveForward {
  AdditiveAttention<T> in;
  Sequences<T> weights;  // [B, Tq, T]
  Sequences<T> context;  // [B, Tq, M], or null
};

/// Gradients from the weights alone: tanh is computed again. Null gradients are not computed.
template <class T>
struct AdditiveBackward {
  AdditiveAttention<T> in;
  Sequences<const T> weights;       // [B, Tq, T]
  Sequences<const T> grad_context;  // [B, Tq, M], or null for zeros
  Sequences<const T> grad_weights;  // [B, Tq, T], or null for zeros
  Sequences<T> grad_query;          // [B, Tq, A], written
  Sequences<T> grad_key;            // [B, T, A]
  Sequences<T> grad_memory;         // [B, T, M]
  T* grad_v_parts = nullptr;        // [B, A], one row per sentence, for sum_parts
  // A decoder calls this at every step for the same keys: true adds to what is there.
  bool add_key = false;
  bool add_memory = false;
  bool add_v = false;
  OfPairs<T> grad_bias = {};  // written
};

template <class T>
struct AdditiveAttentionKernels {
  /// Handles the queries [begin, end) of the B * Tq; any split gives the same bits.
  void (*forward)(const AdditiveForward<T>&, int64_t begin, int64_t end);
  /// Handles the sentences [begin, end); any split gives the same bits. `scratch` has T elements
  /// and belongs to the call.
  void (*backward)(const AdditiveBackward<T>&, int64_t begin, int64_t end, T* scratch);
  /// out[a] (+)= sum over b, in rising order, of parts[b, a] for a in [begin, end).
  void (*sum_parts)(const T* parts, int64_t batch, int64_t width, T* out, bool add, int64_t begin,
                    int64_t end);
};

struct AdditiveAttentionTable {
  AdditiveAttentionKernels<float> f32;
  AdditiveAttentionKernels<double> f64;
};

RAPT_KERNEL_TABLE(AdditiveAttentionTable)

}  // namespace rapt::kernels
