// A product of one row: B is read in place, several rows at a time.
#pragma once

#include "ops/kernels/gemm/gemm_tile.hpp"
#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Rows of B processed together: the hardware prefetcher tracks no more streams.
inline constexpr int row_depth = 8;

// Number of columns whose sums are kept in L1.
inline constexpr int64_t row_width = 1024;

/// Computes sum[v] += a[0] b[v] + ... + a[P - 1] b[(P - 1) b_row + v] for V vectors, in this order.
template <int P, int V, class T>
inline void add_rows(const Vec<T>* a, const T* b, int64_t b_row, T* sum) {
  constexpr int64_t L = lanes<T>;
  Vec<T> s[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) s[v] = load(sum + v * L);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) s[v] = multiply_add(a[p], load(b + p * b_row + v * L), s[v]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) store(sum + v * L, s[v]);
}

/// Does the same for a stretch of columns, including a partial last vector.
template <int P, class T>
void add_rows(int64_t columns, const T* a, int64_t a_col, const T* b, int64_t b_row, T* sum) {
  constexpr int64_t L = lanes<T>;
  Vec<T> x[P];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) x[p] = Vec<T>(a[p * a_col]);
  int64_t j = 0;
  for (; j + 2 * L <= columns; j += 2 * L) add_rows<P, 2>(x, b + j, b_row, sum + j);
  if (j + L <= columns) {
    add_rows<P, 1>(x, b + j, b_row, sum + j);
    j += L;
  }
  if (j == columns) return;
  const Tail<T> tail(columns - j);
  Vec<T> s = load(sum + j);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) s = multiply_add(x[p], tail.load(b + p * b_row + j), s);
  store(sum + j, s);
}

/// Computes C[1, n] from rows of B that are adjacent in n. Sums run along k in ascending order.
template <class T>
void row_region(int64_t n, int64_t k, const T* a, int64_t a_col, const T* b, int64_t b_row, T* c,
                const Finish<T>& finish) {
  alignas(64) T sum[row_width];
  for (int64_t j = 0; j < n; j += row_width) {
    const int64_t columns = smaller(n - j, row_width);
    for (int64_t q = 0; q < row_width && q < columns + lanes<T>; ++q) sum[q] = T(0);
    int64_t p = 0;
    for (; p + row_depth <= k; p += row_depth) {
      add_rows<row_depth>(columns, a + p * a_col, a_col, b + p * b_row + j, b_row, sum);
    }
    for (; p < k; ++p) {
      add_rows<1>(columns, a + p * a_col, a_col, b + p * b_row + j, b_row, sum);
    }
    for (int64_t q = 0; q < columns; ++q) {
      T x = finish.bias != nullptr ? finish.bias[j + q] : T(0);
      if (finish.beta != 0) x += finish.beta * c[j + q];
      x = finish.alpha * sum[q] + x;
      c[j + q] = finish.residual != nullptr ? x + finish.residual[j + q] : x;
    }
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
