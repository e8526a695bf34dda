// A loop over one row in vectors, its body written once for whole vectors and for the row's rest.
#pragma once

#include <rapt/ops/kernels/simd.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// How a whole vector of a row is read and written; Last does the same for the row's rest.
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

/// Calls body(j, access) for each vector of a row of n elements.
template <class T, class Body>
inline void for_each_vector(int64_t n, const Body& body) {
  int64_t j = 0;
  for (; j + lanes<T> <= n; j += lanes<T>) body(j, Whole{});
  if (j < n) body(j, Last{n - j});
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
