// Copies of parts of B, laid out as the matrix product reads them.
#pragma once

#include <rapt/ops/kernels/gemm_tile.hpp>
#include <rapt/ops/kernels/simd.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// n cut into even parts, the longer ones first.
struct Parts {
  Parts(int64_t n, int64_t count)
      : base(count == 1 ? n : n / count), extra(count == 1 ? 0 : n % count) {}
  int64_t begin(int64_t i) const { return i * base + (i < extra ? i : extra); }
  int64_t base, extra;
};

// Vectors are seen as groups of 16 bytes, within which the shuffles below stay: `group` elements.
template <class T>
inline constexpr int64_t group = 16 / static_cast<int64_t>(sizeof(T));

#if defined(__x86_64__)
/// One vector of the 16 bytes at p, p + step, p + 2 * step ...
template <class T>
inline Vec<T> load_groups(const T* const* p, int64_t offset, int64_t step) {
  const auto at = [&](int64_t q) { return reinterpret_cast<const float*>(p[q * step] + offset); };
#if defined(RAPT_KERNEL_ISA_avx512)
  __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(at(0)));
  x = _mm512_insertf32x4(x, _mm_loadu_ps(at(1)), 1);
  x = _mm512_insertf32x4(x, _mm_loadu_ps(at(2)), 2);
  x = _mm512_insertf32x4(x, _mm_loadu_ps(at(3)), 3);
  if constexpr (sizeof(T) == 8) return Vec<T>(_mm512_castps_pd(x));
#elif defined(RAPT_KERNEL_ISA_avx2)
  __m256 x = _mm256_castps128_ps256(_mm_loadu_ps(at(0)));
  x = _mm256_insertf128_ps(x, _mm_loadu_ps(at(1)), 1);
  if constexpr (sizeof(T) == 8) return Vec<T>(_mm256_castps_pd(x));
#else
  const __m128 x = _mm_loadu_ps(at(0));
  if constexpr (sizeof(T) == 8) return Vec<T>(_mm_castps_pd(x));
#endif
  if constexpr (sizeof(T) == 4) return Vec<T>(x);
}

/// The low (high) halves of each group of a and b, alternating.
template <bool High, class T>
inline Vec<T> interleave(const Vec<T>& a, const Vec<T>& b) {
#if defined(RAPT_KERNEL_ISA_avx512)
  if constexpr (sizeof(T) == 4) {
    return Vec<T>(High ? _mm512_unpackhi_ps(a, b) : _mm512_unpacklo_ps(a, b));
  } else {
    return Vec<T>(High ? _mm512_unpackhi_pd(a, b) : _mm512_unpacklo_pd(a, b));
  }
#elif defined(RAPT_KERNEL_ISA_avx2)
  if constexpr (sizeof(T) == 4) {
    return Vec<T>(High ? _mm256_unpackhi_ps(a, b) : _mm256_unpacklo_ps(a, b));
  } else {
    return Vec<T>(High ? _mm256_unpackhi_pd(a, b) : _mm256_unpacklo_pd(a, b));
  }
#else
  if constexpr (sizeof(T) == 4) {
    return Vec<T>(High ? _mm_unpackhi_ps(a, b) : _mm_unpacklo_ps(a, b));
  } else {
    return Vec<T>(High ? _mm_unpackhi_pd(a, b) : _mm_unpacklo_pd(a, b));
  }
#endif
}
#else
template <class T>
inline Vec<T> load_groups(const T* const* p, int64_t offset, int64_t) {
  return load(p[0] + offset);
}

template <bool High, class T>
inline Vec<T> interleave(const Vec<T>& a, const Vec<T>& b) {
  return High ? xsimd::zip_hi(a, b) : xsimd::zip_lo(a, b);
}
#endif

/// Transposes the groups of one vector per row in x: out[i] has element i of each group.
template <class T>
inline void transpose_groups(const Vec<T>* x, Vec<T>* out) {
  if constexpr (sizeof(T) == 4) {
    const Vec<T> t0 = interleave<false>(x[0], x[2]), t1 = interleave<false>(x[1], x[3]);
    const Vec<T> t2 = interleave<true>(x[0], x[2]), t3 = interleave<true>(x[1], x[3]);
    out[0] = interleave<false>(t0, t1);
    out[1] = interleave<true>(t0, t1);
    out[2] = interleave<false>(t2, t3);
    out[3] = interleave<true>(t2, t3);
  } else {
    out[0] = interleave<false>(x[0], x[1]);
    out[1] = interleave<true>(x[0], x[1]);
  }
}

/// One vector's width of columns of B, each adjacent in k, to out[p * width + lane]. With fewer
/// columns than lanes the last one is repeated: what is computed from it is never stored.
template <class T>
inline void pack_columns(const T* b, int64_t b_col, int64_t k, int64_t columns, T* out,
                         int64_t width) {
  constexpr int64_t L = lanes<T>, G = group<T>;
  const T* from[L];
  for (int64_t j = 0; j < L; ++j) from[j] = b + (j < columns ? j : columns - 1) * b_col;
  int64_t p = 0;
  for (; p + G <= k; p += G) {
    Vec<T> x[G], y[G];
#pragma GCC unroll 4
    for (int64_t r = 0; r < G; ++r) x[r] = load_groups(from + r, p, G);
    transpose_groups(x, y);
#pragma GCC unroll 4
    for (int64_t r = 0; r < G; ++r) store(out + (p + r) * width, y[r]);
  }
  for (; p < k; ++p) {
    for (int64_t j = 0; j < L; ++j) out[p * width + j] = from[j][p];
  }
}

/// Asks for n elements that will be read soon.
template <class T>
inline void prefetch_row(const T* p, int64_t n) {
  constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < n; i += line) __builtin_prefetch(p + i);
}

/// B[k, columns] to out[k, width], where width is the columns rounded up to whole vectors.
template <class T>
inline void pack_panel(const T* b, int64_t b_row, int64_t b_col, int64_t k, int64_t columns, T* out,
                       int64_t width) {
  constexpr int64_t L = lanes<T>;
  if (b_col == 1) {
    const int64_t whole = columns / L * L;
    const Tail<T> tail(columns > whole ? columns - whole : 1);
    for (int64_t p = 0; p < k; ++p) {
      prefetch_row(b + rows_ahead * b_row, columns);
      for (int64_t j = 0; j < whole; j += L) store(out + j, load(b + j));
      if (columns > whole) store(out + whole, tail.load(b + whole));
      b += b_row;
      out += width;
    }
  } else if (b_row == 1) {
    for (int64_t j = 0; j < width; j += L) {
      pack_columns(b + j * b_col, b_col, k, columns - j < L ? columns - j : L, out + j, width);
    }
  } else {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < width; ++j) {
        out[p * width + j] = b[p * b_row + (j < columns ? j : columns - 1) * b_col];
      }
    }
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
