// Reduction loops over one row, and the byte masks of rows.
#pragma once

#include <type_traits>

#include "ops/kernels/simd/row_loop.hpp"
#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Four independent accumulators, so that an addition need not wait for the previous one.
template <class T>
struct Accumulators {
  Vec<T> of[4];

  explicit Accumulators(T start) : of{Vec<T>(start), Vec<T>(start), Vec<T>(start), Vec<T>(start)} {}
  T sum() const { return sum_lanes((of[0] + of[1]) + (of[2] + of[3])); }
  T max() const {
    return max_lanes(xsimd::max(xsimd::max(of[0], of[1]), xsimd::max(of[2], of[3])));
  }

 private:
  static T max_lanes(const Vec<T>& v) {
#if defined(RAPT_KERNEL_ISA_avx512)
    if constexpr (sizeof(T) == 4) {
      return _mm512_reduce_max_ps(v);
    } else {
      return _mm512_reduce_max_pd(v);
    }
#endif
    T lane[Vec<T>::size];
    store(lane, v);
    T m = lane[0];
    for (int64_t i = 1; i < lanes<T>; ++i) m = lane[i] > m ? lane[i] : m;
    return m;
  }
};

/// Calls body(j, access, slot) for each vector of a row of n elements. `slot` is the accumulator to
/// use. The order depends on n alone.
template <class T, class Body>
[[gnu::always_inline]] inline void over_row(int64_t n, const Body& body) {
  constexpr int64_t L = lanes<T>;
  int64_t j = 0;
  for (; j + 4 * L <= n; j += 4 * L) {
    body(j, Whole{}, 0);
    body(j + L, Whole{}, 1);
    body(j + 2 * L, Whole{}, 2);
    body(j + 3 * L, Whole{}, 3);
  }
  for (; j + L <= n; j += L) body(j, Whole{}, 0);
  if (j < n) body(j, Last{n - j}, 0);
}

/// Returns what `access` reads at p. Lanes past the row's end are `fill`.
template <class T, class Access>
[[gnu::always_inline]] inline Vec<T> get(const Access& access, const T* p, T fill) {
  if constexpr (std::is_same_v<Access, Whole>) {
    return load(p);
  } else {
    return load_partial(p, access.n, fill);
  }
}

/// Returns a mask of the lanes whose byte at p is not 0. Lanes past the row's end are false.
template <class T, class Access>
[[gnu::always_inline]] inline xsimd::batch_bool<T, Arch> get_mask(const Access& access,
                                                                  const uint8_t* p) {
  int64_t n = lanes<T>;
  if constexpr (!std::is_same_v<Access, Whole>) n = access.n;
#if defined(RAPT_KERNEL_ISA_avx512)
  const auto live = static_cast<__mmask16>((1u << n) - 1u);
  const __m128i bytes = _mm_maskz_loadu_epi8(live, p);
  using Register = typename xsimd::batch_bool<T, Arch>::register_type;
  return xsimd::batch_bool<T, Arch>(static_cast<Register>(_mm_test_epi8_mask(bytes, bytes)));
#else
  T lane[Vec<T>::size];
  for (int64_t i = 0; i < lanes<T>; ++i) lane[i] = i < n && p[i] != 0 ? T(1) : T(0);
  return load(lane) > Vec<T>(0);
#endif
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
