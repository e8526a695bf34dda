// Attention of single queries to keys and values that are addressed row by row through an index: a
// cache of earlier steps, or a memory that several rows share.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// Keys or values with their strides in elements. The last axis is contiguous.
template <class T>
struct CachedRows {
  const T* data = nullptr;
  int64_t row = 0, time = 0, head = 0;
};

/// Arguments: query r, head h attends to keys t < count of row rows[r / width * row_stride + t *
/// row_step].
template <class T>
struct CachedAttention {
  int64_t heads = 0;        // H of the queries
  int64_t group = 1;        // query heads per key head
  int64_t depth = 0;        // D
  int64_t value_depth = 0;  // Dv
  T scale = T(1);
  const T* q = nullptr;           // [R, H, D]
  int64_t q_row = 0, q_head = 0;  // strides of q
  CachedRows<T> keys, values;
  const int32_t* rows = nullptr;
  int64_t width = 1;  // number of queries that share an entry of `rows`
  int64_t row_stride = 0, row_step = 0;
  int64_t count = 0;                 // number of keys
  const int32_t* lengths = nullptr;  // per row of the memory, or null for `count`
  const T* bias = nullptr;           // [H, keys], added to the scores; or null
  int64_t bias_head = 0;             // stride of the bias
  T* out = nullptr;                  // [R, H, Dv], contiguous
};

template <class T>
struct CachedAttentionKernels {
  /// Handles queries [begin, end) of R * H. Any split gives bitwise identical results. `scores` has
  /// `count` elements per head and must not be shared by concurrent calls.
  void (*forward)(const CachedAttention<T>&, int64_t begin, int64_t end, T* scores);
};

struct CachedAttentionTable {
  CachedAttentionKernels<float> f32;
  CachedAttentionKernels<double> f64;
};
RAPT_KERNEL_TABLE(CachedAttentionTable)

}  // namespace rapt::kernels
