// Pooling of planes: maximum, sum, and the transpose of the sum.
//
// Each row of windows is first reduced over its rows, with vectors along whole rows of the plane.
// The resulting row is padded and split by the stride: part r holds elements r, r + stride, ..
// Neighbouring windows then read neighbouring elements, so the second reduction, over columns, also
// runs in vectors. The transpose runs the same steps in reverse. reference.hpp says what is
// computed.
#include "ops/kernels/convolution/pooling.hpp"

#include <limits>

#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/row_loop.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

struct Range {
  int64_t begin, end;
};

/// Returns the rows of window i that lie in the plane.
Range window_rows(const PoolShape& s, int64_t i) {
  const int64_t begin = i * s.stride[0] - s.padding[0], end = begin + s.kernel[0];
  return {begin > 0 ? begin : 0, end < s.in[0] ? end : s.in[0]};
}

/// Returns the windows that contain row i.
Range windows_with(const PoolShape& s, int64_t i) {
  const int64_t at = i + s.padding[0], first = at - s.kernel[0] + 1;
  const int64_t last = at / s.stride[0] + 1;
  return {first > 0 ? ceil_div(first, s.stride[0]) : 0, last < s.out[0] ? last : s.out[0]};
}

/// A row split into parts of `length` elements.
struct Split {
  explicit Split(const PoolShape& s)
      : stride(s.stride[1]),
        left(s.padding[1]),
        length(ceil_div(s.in[1] + 2 * left + s.kernel[1], stride)) {}
  int64_t at(int64_t i) const { return i % stride * length + i / stride; }
  int64_t size() const { return stride * length; }

  int64_t stride, left, length;
};

/// Moves a row's n elements to their places in the parts, or back with Back. The usual strides are
/// passed as constants, so that the compiler uses shuffles.
template <bool Back, class T>
void move(const Split& split, int64_t n, T* row, T* parts) {
  const auto move_by = [&](int64_t stride) __attribute__((always_inline)) {
    for (int64_t r = 0; r < stride; ++r) {
      // The first element of the part that belongs to the row.
      const int64_t first = (r - split.left % stride + stride) % stride;
      T* __restrict const part = parts + split.at(split.left + first);
      T* __restrict const from = row + first;
      const int64_t count = n > first ? ceil_div(n - first, stride) : 0;
      for (int64_t k = 0; k < count; ++k) {
        if (Back) {
          from[k * stride] = part[k];
        } else {
          part[k] = from[k * stride];
        }
      }
    }
  };
  switch (split.stride) {
    case 1:
      return move_by(1);
    case 2:
      return move_by(2);
    default:
      return move_by(split.stride);
  }
}

template <class T>
void fill(T* to, int64_t n, T value) {
  for_each_vector<T>(n, [&](int64_t j, auto access) { access.put(to + j, Vec<T>(value)); });
}

/// The scratch rows of a call.
template <class T>
struct Scratch {
  Scratch(const PoolShape& s, T* memory)
      : first(memory),
        second(first + s.in[1] + 1),
        first_parts(second + s.in[1] + 1),
        second_parts(first_parts + s.in[1] + 2 * s.padding[1] + 2 * s.kernel[1] + s.stride[1]) {}
  T *first, *second;              // as long as the plane's rows or the rows of windows
  T *first_parts, *second_parts;  // rows split into parts
};

template <class T>
void max(const PoolShape& s, const T* x, T* y, int32_t* index, T* memory) {
  const Split split(s);
  const Scratch<T> scratch(s, memory);
  const int64_t wide = s.in[1], out = s.out[1];
  fill(scratch.first_parts, split.size(), -std::numeric_limits<T>::infinity());
  fill(scratch.second_parts, split.size(), T(0));
  for (int64_t i = 0; i < s.out[0]; ++i, y += out, index += out) {
    const Range rows = window_rows(s, i);
    // Find the maximum of each column and its row. (v != v is false for NaN in xsimd 8.1.)
    for_each_vector<T>(wide, [&](int64_t j, auto access) {
      const T* from = x + rows.begin * wide + j;
      Vec<T> top = access.get(from), at(T(0));
      for (int64_t r = rows.begin + 1; r < rows.end; ++r) {
        from += wide;
        const Vec<T> v = access.get(from);
        const auto take = (v > top) || !(v == v);
        top = xsimd::select(take, v, top);
        at = xsimd::select(take, Vec<T>(static_cast<T>(r - rows.begin)), at);
      }
      access.put(scratch.first + j, top);
      access.put(scratch.second + j, at);
    });
    move<false>(split, wide, scratch.first, scratch.first_parts);
    move<false>(split, wide, scratch.second, scratch.second_parts);
    // Find the maximum of each window, its row and its tap.
    for_each_vector<T>(out, [&](int64_t j, auto access) {
      Vec<T> top = access.get(scratch.first_parts + j), at = access.get(scratch.second_parts + j);
      Vec<T> tap(T(0));
      for (int64_t k = 1; k < s.kernel[1]; ++k) {
        const Vec<T> v = access.get(scratch.first_parts + split.at(k) + j);
        const Vec<T> row = access.get(scratch.second_parts + split.at(k) + j);
        const auto take = (v > top) || !(v == v) || ((v == top) && (row < at));
        top = xsimd::select(take, v, top);
        at = xsimd::select(take, row, at);
        tap = xsimd::select(take, Vec<T>(static_cast<T>(k)), tap);
      }
      access.put(y + j, top);
      access.put(scratch.first + j, at);
      access.put(scratch.second + j, tap);
    });
    // In a window of only -inf, the index may point to padding.
    for (int64_t j = 0; j < out; ++j) {
      const auto column = static_cast<int32_t>(j * s.stride[1] - split.left) +
                          static_cast<int32_t>(scratch.second[j]);
      index[j] = (static_cast<int32_t>(rows.begin) + static_cast<int32_t>(scratch.first[j])) *
                     static_cast<int32_t>(wide) +
                 (column > 0 ? column : 0);
    }
  }
}

template <class T>
void sum(const PoolShape& s, const T* x, T* y, T scale, T* memory) {
  const Split split(s);
  const Scratch<T> scratch(s, memory);
  const int64_t wide = s.in[1], out = s.out[1];
  T* const parts = scratch.first_parts;
  fill(parts, split.size(), T(0));
  for (int64_t i = 0; i < s.out[0]; ++i, y += out) {
    const Range rows = window_rows(s, i);
    for_each_vector<T>(wide, [&](int64_t j, auto access) {
      Vec<T> total(T(0));
      for (int64_t r = rows.begin; r < rows.end; ++r) total += access.get(x + r * wide + j);
      access.put(scratch.first + j, total);
    });
    move<false>(split, wide, scratch.first, parts);
    for_each_vector<T>(out, [&](int64_t j, auto access) {
      Vec<T> total(T(0));
      for (int64_t k = 0; k < s.kernel[1]; ++k) total += access.get(parts + split.at(k) + j);
      access.put(y + j, total * Vec<T>(scale));
    });
  }
}

template <class T>
void spread(const PoolShape& s, const T* g, T* x, T scale, T* memory) {
  const Split split(s);
  const Scratch<T> scratch(s, memory);
  const int64_t wide = s.out[1], taps = s.kernel[1], stride = s.stride[1];
  // Rows of windows with zeros around them: window m - t lies t places before m.
  T *const windows = scratch.first_parts + taps, *const parts = scratch.second_parts;
  fill(scratch.first_parts, taps + split.length, T(0));
  for (int64_t i = 0; i < s.in[0]; ++i, x += s.in[1]) {
    const Range rows = windows_with(s, i);
    for_each_vector<T>(wide, [&](int64_t j, auto access) {
      Vec<T> total(T(0));
      for (int64_t r = rows.begin; r < rows.end; ++r) total += access.get(g + r * wide + j);
      access.put(windows + j, total * Vec<T>(scale));
    });
    for (int64_t r = 0; r < stride; ++r) {
      for_each_vector<T>(split.length, [&](int64_t m, auto access) {
        Vec<T> total(T(0));
        for (int64_t t = 0; r + t * stride < taps; ++t) total += access.get(windows + m - t);
        access.put(parts + r * split.length + m, total);
      });
    }
    move<true>(split, s.in[1], x, parts);
  }
}

}  // namespace

extern const PoolKernels table_PoolKernels = {{max<float>, sum<float>, spread<float>},
                                              {max<double>, sum<double>, spread<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
