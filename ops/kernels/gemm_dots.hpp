// Products of few rows with columns of B that are adjacent in k: dot products, nothing to pack.
#pragma once

#include <rapt/ops/kernels/gemm_pack.hpp>
#include <rapt/ops/kernels/gemm_tile.hpp>
#include <rapt/ops/kernels/simd.hpp>

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
#if defined(__x86_64__)
  Vec<T> y[group<T>];
  transpose_groups(x, y);
  if constexpr (sizeof(T) == 4) {
    const Vec<T> s = (y[0] + y[1]) + (y[2] + y[3]);
#if defined(RAPT_KERNEL_ISA_avx512)
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)));
#elif defined(RAPT_KERNEL_ISA_avx2)
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
#else
    store(out, s);
#endif
  } else {
    const Vec<T> s = y[0] + y[1];
#if defined(RAPT_KERNEL_ISA_avx512)
    const __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(s), _mm512_extractf64x4_pd(s, 1));
    _mm_storeu_pd(out, _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1)));
#elif defined(RAPT_KERNEL_ISA_avx2)
    _mm_storeu_pd(out, _mm_add_pd(_mm256_castpd256_pd128(s), _mm256_extractf128_pd(s, 1)));
#else
    store(out, s);
#endif
  }
#else
  for (int64_t i = 0; i < group<T>; ++i) out[i] = sum_lanes(x[i]);
#endif
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
      to[j] = finish.alpha * out[j] + x;
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
    const Finish<T> here{finish.alpha, finish.beta, finish.bias ? finish.bias + j : nullptr};
    const T* const column = b + j * b_col;
    if (m == 1) {
      dots<T, 1, 8>(k, a, a_row, column, b_col, c + j, c_row, n - j, here);
      continue;
    }
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t i = parts.begin(block), rows = parts.begin(block + 1) - i;
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
