// Vectors, and what works alike on all instruction sets. Differences between versions of xsimd are
// handled here.
#pragma once

#include "ops/kernels/simd/sets/abilities.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

template <class T>
using Vec = xsimd::batch<T, Arch>;

/// Number of lanes in a vector of T.
template <class T>
inline constexpr int64_t lanes = static_cast<int64_t>(Vec<T>::size);

/// A vector of half the length where that is faster, else a full vector.
template <class T>
using Short = xsimd::batch<T, ShortArch>;

template <class T>
inline constexpr int64_t short_lanes = static_cast<int64_t>(Short<T>::size);

/// Number of elements in 16 bytes. Vectors are treated as groups of 16 bytes by shuffles, which
/// stay within a group.
template <class T>
inline constexpr int64_t group = 16 / static_cast<int64_t>(sizeof(T));

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

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
