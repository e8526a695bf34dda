// The primitives with AVX-512 (F, BW, DQ, VL). portable.hpp says what they do.
#pragma once

#include "ops/kernels/simd/sets/avx.hpp"
#include "ops/kernels/simd/sets/portable.hpp"
#include "ops/kernels/simd/sets/x86.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// xsimd 8 writes multiply_add as a product and a sum and relies on the compiler to fuse them.
template <class T>
inline Vec<T> multiply_add(const Vec<T>& a, const Vec<T>& b, const Vec<T>& c) {
  if constexpr (sizeof(T) == 4) {
    return Vec<T>(_mm512_fmadd_ps(a, b, c));
  } else {
    return Vec<T>(_mm512_fmadd_pd(a, b, c));
  }
}

template <class T>
inline Short<T> multiply_add(const Short<T>& a, const Short<T>& b, const Short<T>& c) {
  if constexpr (sizeof(T) == 4) {
    return Short<T>(_mm256_fmadd_ps(a, b, c));
  } else {
    return Short<T>(_mm256_fmadd_pd(a, b, c));
  }
}

template <class T>
inline Short<T> lower_half(const Vec<T>& x) {
  if constexpr (sizeof(T) == 4) {
    return Short<T>(_mm512_castps512_ps256(x));
  } else {
    return Short<T>(_mm512_castpd512_pd256(x));
  }
}

template <class T>
inline Short<T> upper_half(const Vec<T>& x) {
  if constexpr (sizeof(T) == 4) {
    return Short<T>(_mm512_extractf32x8_ps(x, 1));
  } else {
    return Short<T>(_mm512_extractf64x4_pd(x, 1));
  }
}

template <class T, class Combine>
inline Short<T> combine_halves(const Vec<T>& x, const Combine& combine) {
  return combine(lower_half(x), upper_half(x));
}

template <class T>
inline Vec<T> load_partial(const T* p, int64_t n, T fill = T(0)) {
  if constexpr (std::is_same_v<T, float>) {
    const auto mask = static_cast<__mmask16>((1u << n) - 1u);
    return Vec<T>(_mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, p));
  } else if constexpr (std::is_same_v<T, double>) {
    const auto mask = static_cast<__mmask8>((1u << n) - 1u);
    return Vec<T>(_mm512_mask_loadu_pd(_mm512_set1_pd(fill), mask, p));
  } else {
    return portable::load_partial(p, n, fill);
  }
}

template <class T>
inline void store_partial(T* p, const Vec<T>& v, int64_t n) {
  if constexpr (std::is_same_v<T, float>) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v);
  } else if constexpr (std::is_same_v<T, double>) {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1u), v);
  } else {
    portable::store_partial(p, v, n);
  }
}

template <class T>
struct Tail {
  explicit Tail(int64_t n) : mask(static_cast<Mask>((1u << n) - 1u)) {}
  Vec<T> load(const T* p) const {
    if constexpr (sizeof(T) == 4) {
      return Vec<T>(_mm512_maskz_loadu_ps(mask, p));
    } else {
      return Vec<T>(_mm512_maskz_loadu_pd(mask, p));
    }
  }
  void store(T* p, const Vec<T>& v) const {
    if constexpr (sizeof(T) == 4) {
      _mm512_mask_storeu_ps(p, mask, v);
    } else {
      _mm512_mask_storeu_pd(p, mask, v);
    }
  }
  using Mask = std::conditional_t<sizeof(T) == 4, __mmask16, __mmask8>;
  Mask mask;
};

template <class T>
inline Short<T> load_half(const T* p, const Tail<T>& tail) {
  const auto mask = static_cast<__mmask8>(tail.mask);
  if constexpr (sizeof(T) == 4) {
    return Short<T>(_mm256_maskz_loadu_ps(mask, p));
  } else {
    return Short<T>(_mm256_maskz_loadu_pd(mask, p));
  }
}

template <class T>
inline void store_half(T* p, const Short<T>& v, const Tail<T>& tail) {
  const auto mask = static_cast<__mmask8>(tail.mask);
  if constexpr (sizeof(T) == 4) {
    _mm256_mask_storeu_ps(p, mask, v);
  } else {
    _mm256_mask_storeu_pd(p, mask, v);
  }
}

template <class T>
inline void store_streaming(T* p, const Vec<T>& v) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), reinterpret<int32_t>(v));
}

template <class T>
inline T max_lanes(const Vec<T>& v) {
  if constexpr (sizeof(T) == 4) {
    return _mm512_reduce_max_ps(v);
  } else {
    return _mm512_reduce_max_pd(v);
  }
}

template <class T>
inline xsimd::batch_bool<T, Arch> nonzero_bytes(const uint8_t* p, int64_t n) {
  const auto live = static_cast<__mmask16>((1u << n) - 1u);
  const __m128i bytes = _mm_maskz_loadu_epi8(live, p);
  using Register = typename xsimd::batch_bool<T, Arch>::register_type;
  return xsimd::batch_bool<T, Arch>(static_cast<Register>(_mm_test_epi8_mask(bytes, bytes)));
}

inline Vec<float> scale_by_power(const Vec<float>& v, const Vec<float>& n) {
  return Vec<float>(_mm512_scalef_ps(v, n));
}

/// Shuffles limit the speed: this needs half as many as four calls of reduce_groups().
inline Vec<float> sum_sixteen(const Vec<float>* x) {
  // First reduce within groups of 16 bytes, then across groups. t[i] holds the sums of four vectors
  // side by side.
  Vec<float> t[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const auto both = [](const __m512& a, const __m512& b) {
      return _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
    };
    const __m512d a = both(x[4 * i], x[4 * i + 1]), b = both(x[4 * i + 2], x[4 * i + 3]);
    t[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  const __m512 p =
      _mm512_add_ps(_mm512_shuffle_f32x4(t[0], t[1], 0x44), _mm512_shuffle_f32x4(t[0], t[1], 0xee));
  const __m512 q =
      _mm512_add_ps(_mm512_shuffle_f32x4(t[2], t[3], 0x44), _mm512_shuffle_f32x4(t[2], t[3], 0xee));
  return _mm512_add_ps(_mm512_shuffle_f32x4(p, q, 0x88), _mm512_shuffle_f32x4(p, q, 0xdd));
}

/// Loads limit the speed, so one load of half a vector replaces two loads of a group.
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

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
