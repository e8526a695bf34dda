// Primitives that all sets of x86-64 share: SSE2.
#pragma once

#include "ops/kernels/simd/sets/vector.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

inline void streaming_done() { _mm_sfence(); }

inline void transpose_four(const uint32_t* from, uint32_t* to, int64_t from_column,
                           int64_t to_row) {
  const auto column = [&](int64_t j) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + j * from_column));
  };
  const auto put = [&](int64_t r, __m128i v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + r * to_row), v);
  };
  const __m128i low01 = _mm_unpacklo_epi32(column(0), column(1));
  const __m128i low23 = _mm_unpacklo_epi32(column(2), column(3));
  const __m128i high01 = _mm_unpackhi_epi32(column(0), column(1));
  const __m128i high23 = _mm_unpackhi_epi32(column(2), column(3));
  put(0, _mm_unpacklo_epi64(low01, low23));
  put(1, _mm_unpackhi_epi64(low01, low23));
  put(2, _mm_unpacklo_epi64(high01, high23));
  put(3, _mm_unpackhi_epi64(high01, high23));
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
