// Dot products of a few rows of A and columns of B that are adjacent in k. They need no packing.
#pragma once

#include "ops/kernels/gemm/gemm_pack.hpp"
#include "ops/kernels/gemm/gemm_tile.hpp"
#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/simd.hpp"
#include "ops/kernels/simd/transpose.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Maximum number of rows of A per tile: these rows times 4 columns of B are the accumulators.
inline constexpr int dot_rows = isa.dot_rows;

/// Reduces each of `group` vectors to the sum of its lanes, in a fixed order.
template <class T>
inline void sum_groups(const Vec<T>* x, T* out) {
  reduce_groups<T>(x, out, [](const auto& a, const auto& b) { return a + b; });
}

// True if a whole tile of accumulators is reduced at once.
template <class T>
inline constexpr bool quick_sums = isa.sums_sixteen && sizeof(T) == 4;

/// Reduces the vectors of R rows and J columns to the sums of their lanes, row by row.
template <class T, int R, int J>
inline void sum_tile(const Vec<T> (*x)[J], T* out) {
  if constexpr (quick_sums<T> && R * J == 16) return store(out, sum_sixteen(x[0]));
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < J; j += static_cast<int>(group<T>)) sum_groups(x[i] + j, out + i * J + j);
  }
}

/// Multiplies R rows of A by J columns of B, of which `columns` exist. Rows and columns are
/// adjacent in k.
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
  T out[R * J];
  sum_tile<T, R, J>(sum, out);
  for (int i = 0; i < R; ++i) {
    T* const to = c + i * c_row;
    const T* const residual = finish.residual != nullptr ? finish.residual + i * c_row : nullptr;
    const auto finish_row = [&](int64_t count) __attribute__((always_inline)) {
      T x[J] = {};
      for (int64_t j = 0; j < count && finish.bias != nullptr; ++j) x[j] = finish.bias[j];
      for (int64_t j = 0; j < count && finish.beta != 0; ++j) x[j] += finish.beta * to[j];
      for (int64_t j = 0; j < count; ++j) x[j] = finish.alpha * out[i * J + j] + x[j];
      for (int64_t j = 0; j < count && residual != nullptr; ++j) x[j] += residual[j];
      for (int64_t j = 0; j < count; ++j) to[j] = x[j];
    };
    // With a constant count the compiler vectorises the loops.
    if (columns >= J) {
      finish_row(J);
    } else {
      finish_row(columns);
    }
  }
}

/// Computes C[m, n] for any m and n in steps of 4 columns. A single row uses steps of 8 columns. A
/// single column uses steps of 16 rows if reductions are quick.
template <class T>
void dot_piece(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, const T* b,
               int64_t b_col, T* c, int64_t c_row, Finish<T> finish) {
  if constexpr (quick_sums<T>) {
    for (; n == 1 && m >= 16; m -= 16, a += 16 * a_row, c += 16 * c_row) {
      dots<T, 16, 1>(k, a, a_row, b, b_col, c, c_row, 1, finish);
      if (finish.residual != nullptr) finish.residual += 16 * c_row;
    }
    if (m == 0) return;
  }
  const int64_t step = m == 1 ? 8 : 4, blocks = ceil_div(m, dot_rows);
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

/// Does the same in pieces of k that are added up in C. Short partial sums lose fewer digits than
/// one long sum.
template <class T>
void dot_region(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, const T* b,
                int64_t b_col, T* c, int64_t c_row, const Finish<T>& finish) {
  constexpr int64_t piece = 512 * lanes<T>;
  if (k <= piece) return dot_piece(m, n, k, a, a_row, b, b_col, c, c_row, finish);
  for (int64_t p = 0; p < k; p += piece) {
    Finish<T> here = finish;
    if (p > 0) here.bias = nullptr;
    if (p > 0) here.beta = 1;
    if (p + piece < k) here.residual = nullptr;
    const int64_t length = smaller(k - p, piece);
    dot_piece(m, n, length, a + p, a_row, b + p, b_col, c, c_row, here);
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
