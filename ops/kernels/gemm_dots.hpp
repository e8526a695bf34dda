// Products of few rows with columns of B that are adjacent in k: dot products, nothing to pack.
#pragma once

#include <rapt/ops/kernels/gemm_pack.hpp>
#include <rapt/ops/kernels/gemm_tile.hpp>
#include <rapt/ops/kernels/simd.hpp>
#include <rapt/ops/kernels/transpose.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Most rows of A at a time: 4 columns of B times these are the accumulators.
#if defined(RAPT_KERNEL_ISA_avx512) || defined(__aarch64__)
inline constexpr int dot_rows = 4;
#elif defined(RAPT_KERNEL_ISA_avx2)
inline constexpr int dot_rows = 3;
#else
inline constexpr int dot_rows = 2;
#endif

/// The sums of the lanes of `group` vectors, in a fixed order.
template <class T>
inline void sum_groups(const Vec<T>* x, T* out) {
  reduce_groups<T>(x, out, [](const auto& a, const auto& b) { return a + b; });
}

/// R rows of A times J columns of B, `columns` of which exist. Rows and columns adjacent in k.
template <class T, int R, int J>
void dots(int64_t k, const T* a, int64_t a_row, const T* b, int64_t b_col, T* c, int64_t c_row,
          int64_t columns, const Finish<T>& finish) {
  constexpr int64_t L = lanes<T>;
  const T* from[J];
#pragma GCC unroll 8
  for (int j = 0; j < J; ++j) from[j] = b + (j < columns ? j : columns - 1) * b_col;
  Vec<T> sum[R][J];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) sum[i][j] = Vec<T>(T(0));
  }
  int64_t p = 0;
  for (; p + L <= k; p += L) {
    Vec<T> x[R];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) x[i] = load(a + i * a_row + p);
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
      const Vec<T> y = load(from[j] + p);
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) sum[i][j] = multiply_add(x[i], y, sum[i][j]);
    }
  }
  if (p < k) {
    const Tail<T> tail(k - p);
    Vec<T> x[R];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) x[i] = tail.load(a + i * a_row + p);
#pragma GCC unroll 8
    for (int j = 0; j < J; ++j) {
      const Vec<T> y = tail.load(from[j] + p);
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) sum[i][j] = multiply_add(x[i], y, sum[i][j]);
    }
  }
  for (int i = 0; i < R; ++i) {
    T out[J];
#pragma GCC unroll 8
    for (int j = 0; j < J; j += static_cast<int>(group<T>)) sum_groups(sum[i] + j, out + j);
    T* const to = c + i * c_row;
    for (int64_t j = 0; j < (columns < J ? columns : J); ++j) {
      T x = finish.bias != nullptr ? finish.bias[j] : T(0);
      if (finish.beta != 0) x += finish.beta * to[j];
      x = finish.alpha * out[j] + x;
      to[j] = finish.residual != nullptr ? x + finish.residual[i * c_row + j] : x;
    }
  }
}

/// C[m, n] for any m and n, in steps of 4 columns (8 for a single row).
template <class T>
void dot_region(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, const T* b,
                int64_t b_col, T* c, int64_t c_row, const Finish<T>& finish) {
  const int64_t step = m == 1 ? 8 : 4, blocks = (m + dot_rows - 1) / dot_rows;
  const Parts parts(m, blocks);
  for (int64_t j = 0; j < n; j += step) {
    Finish<T> here = finish;
    if (here.bias != nullptr) here.bias += j;
    if (here.residual != nullptr) here.residual += j;
    const T* const column = b + j * b_col;
    if (m == 1) {
      dots<T, 1, 8>(k, a, a_row, column, b_col, c + j, c_row, n - j, here);
      continue;
    }
    const T* const residual = here.residual;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t i = parts.begin(block), rows = parts.begin(block + 1) - i;
      if (residual != nullptr) here.residual = residual + i * c_row;
      const T* const row = a + i * a_row;
      T* const to = c + i * c_row + j;
      if (rows == 1) dots<T, 1, 4>(k, row, a_row, column, b_col, to, c_row, n - j, here);
      if (rows == 2) dots<T, 2, 4>(k, row, a_row, column, b_col, to, c_row, n - j, here);
      if constexpr (dot_rows >= 3) {
        if (rows == 3) dots<T, 3, 4>(k, row, a_row, column, b_col, to, c_row, n - j, here);
      }
      if constexpr (dot_rows >= 4) {
        if (rows == 4) dots<T, 4, 4>(k, row, a_row, column, b_col, to, c_row, n - j, here);
      }
    }
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
