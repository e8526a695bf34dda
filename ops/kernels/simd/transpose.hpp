// Transposes in registers.
#pragma once

#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Number of elements in 16 bytes. Vectors are treated as groups of 16 bytes, and the shuffles below
// stay within a group. AVX-512 uses half-length vectors here, because shuffling full ones takes
// twice the time.
template <class T>
inline constexpr int64_t group = 16 / static_cast<int64_t>(sizeof(T));

#if defined(__x86_64__)
/// Loads one vector from the 16-byte groups at from(0), from(1) and so on.
template <class T, class From>
inline Short<T> load_groups(const From& from) {
  const auto at = [&](int64_t q) { return reinterpret_cast<const float*>(from(q)); };
#if defined(RAPT_KERNEL_ISA_baseline)
  const __m128 x = _mm_loadu_ps(at(0));
  if constexpr (sizeof(T) == 8) return Short<T>(_mm_castps_pd(x));
#else
  const __m256 x =
      _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(at(0))), _mm_loadu_ps(at(1)), 1);
  if constexpr (sizeof(T) == 8) return Short<T>(_mm256_castps_pd(x));
#endif
  if constexpr (sizeof(T) == 4) return Short<T>(x);
}

/// Interleaves the low (or high) halves of each group of a and b.
template <bool High, class T>
inline Short<T> interleave_groups(const Short<T>& a, const Short<T>& b) {
#if defined(RAPT_KERNEL_ISA_baseline)
  if constexpr (sizeof(T) == 4) {
    return Short<T>(High ? _mm_unpackhi_ps(a, b) : _mm_unpacklo_ps(a, b));
  } else {
    return Short<T>(High ? _mm_unpackhi_pd(a, b) : _mm_unpacklo_pd(a, b));
  }
#else
  if constexpr (sizeof(T) == 4) {
    return Short<T>(High ? _mm256_unpackhi_ps(a, b) : _mm256_unpacklo_ps(a, b));
  } else {
    return Short<T>(High ? _mm256_unpackhi_pd(a, b) : _mm256_unpacklo_pd(a, b));
  }
#endif
}
#else
template <class T, class From>
inline Short<T> load_groups(const From& from) {
  return load(from(0));
}

template <bool High, class T>
inline Short<T> interleave_groups(const Short<T>& a, const Short<T>& b) {
  return High ? xsimd::zip_hi(a, b) : xsimd::zip_lo(a, b);
}
#endif

/// Transposes groups: x holds one vector per row, and out[i] receives element i of each group.
template <class T>
inline void transpose_groups(const Short<T>* x, Short<T>* out) {
  const auto low = [](const Short<T>& a, const Short<T>& b) {
    return interleave_groups<false, T>(a, b);
  };
  const auto high = [](const Short<T>& a, const Short<T>& b) {
    return interleave_groups<true, T>(a, b);
  };
  if constexpr (sizeof(T) == 4) {
    const Short<T> t0 = low(x[0], x[2]), t1 = low(x[1], x[3]);
    const Short<T> t2 = high(x[0], x[2]), t3 = high(x[1], x[3]);
    out[0] = low(t0, t1);
    out[1] = high(t0, t1);
    out[2] = low(t2, t3);
    out[3] = high(t2, t3);
  } else {
    out[0] = low(x[0], x[1]);
    out[1] = high(x[0], x[1]);
  }
}

#if defined(RAPT_KERNEL_ISA_avx512)
/// Number of steps per strip.
inline constexpr int64_t strip_steps = 8;

/// Transposes the next strip_steps steps of 16 float columns into rows that are `width` apart.
/// from(j) is the address of column j, which is contiguous. Loads limit the speed, so one load of
/// half a vector replaces two loads of a group.
template <class From>
inline void transpose_strip(const From& from, float* out, int64_t width) {
  // The groups of a vector hold steps 0 to 3 and 4 to 7 of four columns, then those of four more.
  __m512 y[2][4];
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    __m512 x[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      x[r] = _mm512_mask_broadcast_f32x8(_mm512_castps256_ps512(_mm256_loadu_ps(from(8 * h + r))),
                                         0xff00, _mm256_loadu_ps(from(8 * h + 4 + r)));
    }
    const __m512 t0 = _mm512_unpacklo_ps(x[0], x[2]), t1 = _mm512_unpacklo_ps(x[1], x[3]);
    const __m512 t2 = _mm512_unpackhi_ps(x[0], x[2]), t3 = _mm512_unpackhi_ps(x[1], x[3]);
    y[h][0] = _mm512_unpacklo_ps(t0, t1);
    y[h][1] = _mm512_unpackhi_ps(t0, t1);
    y[h][2] = _mm512_unpacklo_ps(t2, t3);
    y[h][3] = _mm512_unpackhi_ps(t2, t3);
  }
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    _mm512_storeu_ps(out + r * width, _mm512_shuffle_f32x4(y[0][r], y[1][r], 0x88));
    _mm512_storeu_ps(out + (r + 4) * width, _mm512_shuffle_f32x4(y[0][r], y[1][r], 0xdd));
  }
}
#endif

/// Reduces each of `group` vectors to one number. combine(a, b) joins lanes in a fixed order.
template <class T, class Combine>
inline void reduce_groups(const Vec<T>* x, T* out, const Combine& combine) {
  constexpr int64_t G = group<T>;
  Short<T> halves[G], y[G];
#pragma GCC unroll 4
  for (int64_t i = 0; i < G; ++i) {
#if defined(RAPT_KERNEL_ISA_avx512)
    halves[i] = combine(lower_half(x[i]), upper_half(x[i]));
#else
    halves[i] = x[i];
#endif
  }
  transpose_groups<T>(halves, y);
  Short<T> all = combine(y[0], y[1]);
  if constexpr (G == 4) all = combine(all, combine(y[2], y[3]));
#if defined(RAPT_KERNEL_ISA_baseline)
  all.store_unaligned(out);
#else
  if constexpr (G == 4) {
    all = combine(all, Short<T>(_mm256_permute2f128_ps(all, all, 1)));
    _mm_storeu_ps(out, _mm256_castps256_ps128(all));
  } else {
    all = combine(all, Short<T>(_mm256_permute2f128_pd(all, all, 1)));
    _mm_storeu_pd(out, _mm256_castpd256_pd128(all));
  }
#endif
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
