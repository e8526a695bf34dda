// Transposes in registers.
#pragma once

#include <rapt/ops/kernels/simd.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Vectors are seen as groups of 16 bytes, within which the shuffles below stay: `group` elements.
// With AVX-512 they are half as long as others, as shuffling whole ones takes twice the time.
template <class T>
inline constexpr int64_t group = 16 / static_cast<int64_t>(sizeof(T));

#if defined(__x86_64__)
/// One vector of the 16 bytes at from(0), from(1) ...
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

/// The low (high) halves of each group of a and b, alternating.
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

/// Transposes the groups of one vector per row in x: out[i] has element i of each group.
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

/// One number from the lanes of each of `group` vectors, put together in a fixed order by
/// combine(a, b).
template <class T, class Combine>
inline void reduce_groups(const Vec<T>* x, T* out, const Combine& combine) {
  constexpr int64_t G = group<T>;
#if defined(__x86_64__)
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
#else
  for (int64_t i = 0; i < G; ++i) {
    alignas(64) T lane[Vec<T>::size];
    x[i].store_aligned(lane);
    Vec<T> all = x[i];
    for (int64_t j = 1; j < lanes<T>; ++j) all = combine(all, Vec<T>(lane[j]));
    out[i] = all.get(0);
  }
#endif
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
