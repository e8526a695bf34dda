// Attention of single queries to keys and values that lie row by row in memory of others: a cache
// of earlier steps, or a memory that several rows share.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// Keys or values: strides in elements; the last axis is contiguous.
template <class T>
struct CachedRows {
  const T* data = nullptr;
  int64_t row = 0, time = 0, head = 0;
};

/// Query r, head h looks at the keys t < count of row rows[r / width * row_stride + t * row_step].
template <class T>
struct CachedAttention {
  int64_t heads = 0;              // H of the queries
  int64_t group = 1;              // query heads a head of keys
  int64_t depth = 0;              // D
  int64_t value_depth = 0;        // Dv
  T scale = T(1);                 //
  const T* q = nullptr;           // [R, H, D]
  int64_t q_row = 0, q_head = 0;  // its strides
  CachedRows<T> keys, values;     //
  const int32_t* rows = nullptr;  //
  int64_t width = 1;              // queries that share an entry of `rows`
  int64_t row_stride = 0, row_step = 0;
  int64_t count = 0;                 // keys that are there
  const int32_t* lengths = nullptr;  // of each row of the memory, or null for `count`
  const T* bias = nullptr;           // added to the scores, [H, keys], or null
  int64_t bias_head = 0;             // its stride
  T* out = nullptr;                  // [R, H, Dv], contiguous
};

template <class T>
struct CachedAttentionKernels {
  /// Handles the queries [begin, end) of the R * H; any split gives the same bits. `scores` has
  /// room for `count` elements a head and belongs to the call.
  void (*forward)(const CachedAttention<T>&, int64_t begin, int64_t end, T* scores);
};

struct CachedAttentionTable {
  CachedAttentionKernels<float> f32;
  CachedAttentionKernels<double> f64;
};
RAPT_KERNEL_TABLE(CachedAttentionTable)

}  // namespace rapt::kernels
