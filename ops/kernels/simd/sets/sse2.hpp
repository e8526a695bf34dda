// The primitives with SSE2. portable.hpp says what they do.
#pragma once

#include "ops/kernels/simd/sets/portable.hpp"
#include "ops/kernels/simd/sets/x86.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

using portable::combine_halves;
using portable::interleave_groups;
using portable::load_half;
using portable::load_partial;
using portable::lower_half;
using portable::max_lanes;
using portable::multiply_add;
using portable::nonzero_bytes;
using portable::scale_by_power;
using portable::store_combined_groups;
using portable::store_half;
using portable::store_partial;
using portable::sum_sixteen;
using portable::transpose_strip;

template <class T>
struct Tail {
  explicit Tail(int64_t count) : n(count) {}
  Vec<T> load(const T* p) const {
    // Avoid a round trip through memory, which would add its latency to every step of k.
    if constexpr (sizeof(T) == 4) {
      if (n == 1) return Vec<T>(_mm_load_ss(p));
      double bits;
      __builtin_memcpy(&bits, p, sizeof bits);
      const __m128 two = _mm_castpd_ps(_mm_set_sd(bits));
      return Vec<T>(n == 2 ? two : _mm_movelh_ps(two, _mm_load_ss(p + 2)));
    } else {
      return Vec<T>(_mm_load_sd(p));
    }
  }
  void store(T* p, const Vec<T>& v) const { store_partial(p, v, n); }
  int64_t n;
};

template <class T>
inline void store_streaming(T* p, const Vec<T>& v) {
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), reinterpret<int32_t>(v));
}

template <class T, class From>
inline Short<T> load_groups(const From& from) {
  const __m128 x = _mm_loadu_ps(reinterpret_cast<const float*>(from(0)));
  if constexpr (sizeof(T) == 8) return Short<T>(_mm_castps_pd(x));
  if constexpr (sizeof(T) == 4) return Short<T>(x);
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
