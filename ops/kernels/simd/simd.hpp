// Base header of every kernel source: the instruction set it is compiled for, the vector types, and
// loads and stores of a row's last, partial vector. Differences between versions of xsimd are
// handled here.
//
// A kernel source is compiled once per instruction set. All its definitions are in
// rapt::kernels::RAPT_KERNEL_ISA, so that the copies are distinct. Kernel sources use raw pointers
// and xsimd only. An inline function of a standard container compiled here could be the copy that
// the linker keeps for the whole program, and would crash an older processor.
#pragma once

#include <cstdint>

// g++ 12 falsely warns about the undefined operands of its own AVX-512 intrinsics.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace rapt::kernels::RAPT_KERNEL_ISA {

#if defined(RAPT_KERNEL_ISA_avx512)
using Arch = xsimd::avx512bw;
#elif defined(RAPT_KERNEL_ISA_avx2)
using Arch = xsimd::fma3<xsimd::avx2>;
#elif defined(__x86_64__)
using Arch = xsimd::sse2;
#else
using Arch = xsimd::neon64;
#endif

template <class T>
using Vec = xsimd::batch<T, Arch>;

/// Number of lanes in a vector of T.
template <class T>
inline constexpr int64_t lanes = static_cast<int64_t>(Vec<T>::size);

/// A half-length vector with AVX-512, where operations on half a vector can cost half. Elsewhere a
/// full vector. No other instruction set's vectors have this type: a function that two sets shared
/// could be linked as compiled for the higher one.
#if defined(RAPT_KERNEL_ISA_avx512)
template <class T>
using Short = xsimd::batch<T, xsimd::avx2>;
#else
template <class T>
using Short = Vec<T>;
#endif

template <class T>
inline constexpr int64_t short_lanes = static_cast<int64_t>(Short<T>::size);

template <class T>
inline Vec<T> load(const T* p) {
  return Vec<T>::load_unaligned(p);
}

template <class T>
inline void store(T* p, const Vec<T>& v) {
  v.store_unaligned(p);
}

/// Reinterprets the bits of a vector as lanes of type To.
template <class To, class From>
inline Vec<To> reinterpret(const Vec<From>& v) {
#if XSIMD_VERSION_MAJOR >= 10
  return xsimd::bitwise_cast<To>(v);
#else
  return xsimd::bitwise_cast<Vec<To> >(v);
#endif
}

/// Writes to p by a non-temporal store, which does not fetch the cache line first. p must be
/// aligned to a vector. Call streaming_done() before other threads may read it.
template <class T>
inline void store_streaming(T* p, const Vec<T>& v) {
#if defined(RAPT_KERNEL_ISA_avx512)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), reinterpret<int32_t>(v));
#elif defined(RAPT_KERNEL_ISA_avx2)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), reinterpret<int32_t>(v));
#elif defined(__x86_64__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), reinterpret<int32_t>(v));
#else
  store(p, v);
#endif
}

inline void streaming_done() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

/// Returns the sum of a vector's lanes, added in a fixed order.
template <class T>
inline T sum_lanes(const Vec<T>& v) {
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::reduce_add(v);
#else
  return xsimd::hadd(v);
#endif
}

#if defined(RAPT_KERNEL_ISA_avx512)
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
#endif

/// Returns a * b + c, fused if the instruction set supports it.
template <class T>
inline Vec<T> multiply_add(const Vec<T>& a, const Vec<T>& b, const Vec<T>& c) {
#if defined(RAPT_KERNEL_ISA_avx512)
  // xsimd 8 writes this as a product and a sum and relies on the compiler to fuse them.
  if constexpr (sizeof(T) == 4) {
    return Vec<T>(_mm512_fmadd_ps(a, b, c));
  } else {
    return Vec<T>(_mm512_fmadd_pd(a, b, c));
  }
#else
  return xsimd::fma(a, b, c);
#endif
}

/// Loads the first n (0 < n < lanes) elements at p; the other lanes are `fill`. Never reads past
/// p[n - 1].
template <class T>
inline Vec<T> load_partial(const T* p, int64_t n, T fill = T(0)) {
#if defined(RAPT_KERNEL_ISA_avx512)
  if constexpr (std::is_same_v<T, float>) {
    const auto mask = static_cast<__mmask16>((1u << n) - 1u);
    return Vec<T>(_mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, p));
  } else if constexpr (std::is_same_v<T, double>) {
    const auto mask = static_cast<__mmask8>((1u << n) - 1u);
    return Vec<T>(_mm512_mask_loadu_pd(_mm512_set1_pd(fill), mask, p));
  }
#endif
  alignas(64) T buffer[Vec<T>::size];
  for (int64_t i = 0; i < lanes<T>; ++i) buffer[i] = i < n ? p[i] : fill;
  return Vec<T>::load_aligned(buffer);
}

/// Writes the first n (0 < n < lanes) lanes of v to p. Never writes past p[n - 1].
template <class T>
inline void store_partial(T* p, const Vec<T>& v, int64_t n) {
#if defined(RAPT_KERNEL_ISA_avx512)
  if constexpr (std::is_same_v<T, float>) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v);
    return;
  } else if constexpr (std::is_same_v<T, double>) {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1u), v);
    return;
  }
#endif
  alignas(64) T buffer[Vec<T>::size];
  v.store_aligned(buffer);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}

#if defined(RAPT_KERNEL_ISA_avx512)
template <class T>
inline Short<T> multiply_add(const Short<T>& a, const Short<T>& b, const Short<T>& c) {
  if constexpr (sizeof(T) == 4) {
    return Short<T>(_mm256_fmadd_ps(a, b, c));
  } else {
    return Short<T>(_mm256_fmadd_pd(a, b, c));
  }
}
#endif

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
