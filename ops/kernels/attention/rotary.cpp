// Rotary positions: rotates pairs of elements (i, i + half) of each row.
//
// The outer loop runs over vectors of the pairs, the inner one over the rows that share the angles.
// The cosines and sines are thus loaded once per vector. The inverse rotation negates the sines.
#include "ops/kernels/attention/rotary.hpp"

#include "ops/kernels/simd/row_loop.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
void rotate(const Rotation<T>& r) {
  const Vec<T> sign(T(r.inverse ? -1 : 1));
  for_each_vector<T>(r.half, [&](int64_t i, auto access) {
    const Vec<T> c = access.get(r.cosines + i), s = sign * access.get(r.sines + i);
    const T* x = r.x + i;
    T* y = r.y + i;
    for (int64_t row = 0; row < r.rows; ++row, x += r.x_row, y += r.y_row) {
      const Vec<T> a = access.get(x), b = access.get(x + r.half);
      access.put(y, a * c - b * s);
      access.put(y + r.half, multiply_add(a, s, b * c));
    }
  });
}

}  // namespace

const RotaryKernels table_RotaryKernels = {{rotate<float>}, {rotate<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
