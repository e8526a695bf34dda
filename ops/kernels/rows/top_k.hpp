// The k largest elements of each row, in descending order.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

template <class T>
struct TopK {
  const T* x = nullptr;  // [rows, width]
  int64_t row = 0;       // distance between rows, in elements
  int64_t width = 0;
  int64_t k = 0;               // at most the width
  T* values = nullptr;         // [rows, k]
  int32_t* indices = nullptr;  // [rows, k]
};

struct TopKTable {
  /// Handles rows [begin, end). Equal elements are in the order of their indices. NaN come first.
  void (*f32)(const TopK<float>&, int64_t begin, int64_t end);
  void (*f64)(const TopK<double>&, int64_t begin, int64_t end);
};
RAPT_KERNEL_TABLE(TopKTable)

}  // namespace rapt::kernels
