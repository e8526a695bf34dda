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
  return nonzero_bytes<T>(p, n);
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
