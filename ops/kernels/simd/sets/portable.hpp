// The primitives without intrinsics: their meaning, and what a set uses that has nothing better.
//
// A set's header takes some of them by `using portable::NAME` and defines the others. A deleted
// function is called only if the ability of `isa` beside it is true.
#pragma once

#include "ops/kernels/simd/sets/vector.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA::portable {

/// Returns a * b + c, fused if the instruction set supports it.
template <class T>
inline Vec<T> multiply_add(const Vec<T>& a, const Vec<T>& b, const Vec<T>& c) {
  return xsimd::fma(a, b, c);
}

/// Loads the first n (0 < n < lanes) elements at p; the other lanes are `fill`. Never reads past
/// p[n - 1].
template <class T>
inline Vec<T> load_partial(const T* p, int64_t n, T fill = T(0)) {
  alignas(64) T buffer[Vec<T>::size];
  for (int64_t i = 0; i < lanes<T>; ++i) buffer[i] = i < n ? p[i] : fill;
  return Vec<T>::load_aligned(buffer);
}

/// Writes the first n (0 < n < lanes) lanes of v to p. Never writes past p[n - 1].
template <class T>
inline void store_partial(T* p, const Vec<T>& v, int64_t n) {
  alignas(64) T buffer[Vec<T>::size];
  v.store_aligned(buffer);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
}

/// Access to the last, partial vector of many rows: the same as load_partial() and store_partial().
/// What follows from n is computed once.
template <class T>
struct Tail {
  explicit Tail(int64_t count) : n(count) {}
  Vec<T> load(const T* p) const { return load_partial(p, n); }
  void store(T* p, const Vec<T>& v) const { store_partial(p, v, n); }
  int64_t n;
};

/// Writes to p by a non-temporal store, which does not fetch the cache line first. p must be
/// aligned to a vector. Call streaming_done() before other threads may read it.
template <class T>
inline void store_streaming(T* p, const Vec<T>& v) {
  store(p, v);
}
inline void streaming_done() {}

/// Returns the largest lane.
template <class T>
inline T max_lanes(const Vec<T>& v) {
  T lane[Vec<T>::size];
  store(lane, v);
  T m = lane[0];
  for (int64_t i = 1; i < lanes<T>; ++i) m = lane[i] > m ? lane[i] : m;
  return m;
}

/// Returns a mask of the lanes whose byte at p is not 0. Lanes from n on are false.
template <class T>
inline xsimd::batch_bool<T, Arch> nonzero_bytes(const uint8_t* p, int64_t n) {
  T lane[Vec<T>::size];
  for (int64_t i = 0; i < lanes<T>; ++i) lane[i] = i < n && p[i] != 0 ? T(1) : T(0);
  return load(lane) > Vec<T>(0);
}

/// Loads one vector from the 16-byte groups at from(0), from(1) and so on.
template <class T, class From>
inline Short<T> load_groups(const From& from) {
  return load(from(0));
}

/// Interleaves the low (or high) halves of each group of a and b.
template <bool High, class T>
inline Short<T> interleave_groups(const Short<T>& a, const Short<T>& b) {
  return High ? xsimd::zip_hi(a, b) : xsimd::zip_lo(a, b);
}

/// Combines the two halves of a vector lane by lane if a Short is half a vector.
template <class T, class Combine>
inline Short<T> combine_halves(const Vec<T>& x, const Combine&) {
  return x;
}

/// Combines the groups of a vector lane by lane and stores the result, one group.
template <class T, class Combine>
inline void store_combined_groups(T* out, const Short<T>& all, const Combine&) {
  static_assert(short_lanes<T> == group<T>);
  all.store_unaligned(out);
}

/// The lower half of the vector at p, of which `tail` has some elements. If isa.halves.
template <class T, class AnyTail>
Short<T> load_half(const T* p, const AnyTail& tail) = delete;
template <class T, class AnyTail>
void store_half(T* p, const Short<T>& v, const AnyTail& tail) = delete;
template <class T>
Short<T> lower_half(const xsimd::batch<T, Arch>& x) = delete;

/// Reduces each of 16 vectors to the sum of its lanes, in a fixed order. If isa.sums_sixteen.
template <class V>
V sum_sixteen(const V* x) = delete;

/// Returns v * 2^n, also where 2^n or the result is denormal or overflows. If isa.scales.
template <class V>
V scale_by_power(const V& v, const V& n) = delete;

/// Transposes the next strip_steps steps of 16 float columns into rows that are `width` apart.
/// from(j) is the address of column j, which is contiguous. If isa.strips.
template <class T, class From>
void transpose_strip(const From& from, T* out, int64_t width) = delete;

/// Transposes 4 x 4 elements. Rows of `to` are columns of `from`; both are contiguous. If
/// isa.transposes_four.
template <class E>
void transpose_four(const E* from, E* to, int64_t from_column, int64_t to_row) = delete;

}  // namespace rapt::kernels::RAPT_KERNEL_ISA::portable
