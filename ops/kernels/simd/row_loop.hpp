// Loops over one row in vectors. The body is written once for whole vectors and for the remainder.
#pragma once

#include <type_traits>

#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Reads and writes a whole vector of a row. Last does the same for the remainder.
struct Whole {
  template <class T>
  Vec<T> get(const T* p) const {
    return load(p);
  }
  template <class T>
  void put(T* p, const Vec<T>& v) const {
    store(p, v);
  }
};

struct Last {
  int64_t n;

  template <class T>
  Vec<T> get(const T* p) const {
    return load_partial(p, n);
  }
  template <class T>
  void put(T* p, const Vec<T>& v) const {
    store_partial(p, v, n);
  }
};

/// True if rows of n elements starting at p can be written by non-temporal stores: they are aligned
/// and consist of whole vectors.
template <class T>
inline bool can_stream(const T* p, int64_t n) {
  return (reinterpret_cast<uintptr_t>(p) | static_cast<uintptr_t>(n) * sizeof(T)) %
             sizeof(Vec<T>) ==
         0;
}

/// Writes a vector through `access`, by a non-temporal store if `streaming`. That requires
/// can_stream().
template <bool streaming, class T, class Access>
[[gnu::always_inline]] inline void put(const Access& access, T* p, const Vec<T>& v) {
  if constexpr (streaming && std::is_same_v<Access, Whole>) {
    store_streaming(p, v);
  } else {
    access.put(p, v);
  }
}

/// Calls body(j, access) for each vector of a row of n elements.
template <class T, class Body>
inline void for_each_vector(int64_t n, const Body& body) {
  int64_t j = 0;
  for (; j + lanes<T> <= n; j += lanes<T>) body(j, Whole{});
  if (j < n) body(j, Last{n - j});
}

/// Prefetches a fixed distance ahead: the next row of `width` elements, but at least 2 KB ahead so
/// that the data arrive in time. The hardware prefetcher stops at every page, which holds two rows
/// of 512 floats. Call it once per vector; `slot` is the vector's position in its group, as
/// numbered by over_row. Prefetching past the end of an array is harmless.
template <class T>
class Ahead {
 public:
  explicit Ahead(int64_t width = 0) : distance_(width < least ? least : width) {}

  [[gnu::always_inline]] void operator()(const T* p, int slot = 0) const {
    constexpr int line = 64 / static_cast<int>(sizeof(Vec<T>));
    if (slot % line == 0) __builtin_prefetch(p + distance_);
  }

 private:
  static constexpr int64_t least = 2048 / static_cast<int64_t>(sizeof(T));
  int64_t distance_;
};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
