// The primitives with AVX2 and FMA. portable.hpp says what they do.
#pragma once

#include "ops/kernels/simd/sets/avx.hpp"
#include "ops/kernels/simd/sets/portable.hpp"
#include "ops/kernels/simd/sets/x86.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

using portable::combine_halves;
using portable::load_half;
using portable::load_partial;
using portable::lower_half;
using portable::max_lanes;
using portable::multiply_add;
using portable::nonzero_bytes;
using portable::scale_by_power;
using portable::store_half;
using portable::store_partial;
using portable::sum_sixteen;
using portable::transpose_strip;

template <class T>
struct Tail {
  explicit Tail(int64_t n) {
    if constexpr (sizeof(T) == 4) {
      mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    } else {
      mask = _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
    }
  }
  Vec<T> load(const T* p) const {
    if constexpr (sizeof(T) == 4) {
      return Vec<T>(_mm256_maskload_ps(p, mask));
    } else {
      return Vec<T>(_mm256_maskload_pd(p, mask));
    }
  }
  void store(T* p, const Vec<T>& v) const {
    if constexpr (sizeof(T) == 4) {
      _mm256_maskstore_ps(p, mask, v);
    } else {
      _mm256_maskstore_pd(p, mask, v);
    }
  }
  __m256i mask;
};

template <class T>
inline void store_streaming(T* p, const Vec<T>& v) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), reinterpret<int32_t>(v));
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
