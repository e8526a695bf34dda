// Primitives that AVX2 and AVX-512 share: groups of 16 bytes in vectors of 32 bytes. AVX-512 uses
// half-length vectors here, because shuffling full ones takes twice the time.
#pragma once

#include "ops/kernels/simd/sets/vector.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

template <class T, class From>
inline Short<T> load_groups(const From& from) {
  const auto at = [&](int64_t q) { return reinterpret_cast<const float*>(from(q)); };
  const __m256 x =
      _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(at(0))), _mm_loadu_ps(at(1)), 1);
  if constexpr (sizeof(T) == 8) return Short<T>(_mm256_castps_pd(x));
  if constexpr (sizeof(T) == 4) return Short<T>(x);
}

template <bool High, class T>
inline Short<T> interleave_groups(const Short<T>& a, const Short<T>& b) {
  if constexpr (sizeof(T) == 4) {
    return Short<T>(High ? _mm256_unpackhi_ps(a, b) : _mm256_unpacklo_ps(a, b));
  } else {
    return Short<T>(High ? _mm256_unpackhi_pd(a, b) : _mm256_unpacklo_pd(a, b));
  }
}

template <class T, class Combine>
inline void store_combined_groups(T* out, Short<T> all, const Combine& combine) {
  if constexpr (sizeof(T) == 4) {
    all = combine(all, Short<T>(_mm256_permute2f128_ps(all, all, 1)));
    _mm_storeu_ps(out, _mm256_castps256_ps128(all));
  } else {
    all = combine(all, Short<T>(_mm256_permute2f128_pd(all, all, 1)));
    _mm_storeu_pd(out, _mm256_castpd256_pd128(all));
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
