// Windows are reduced over their rows first, whole rows of the plane in vectors, then over columns.
#include <rapt/ops/kernels/pooling.hpp>
#include <rapt/ops/kernels/row_loop.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

struct Range {
  int64_t begin, end;
};

/// The part of window i that lies in the plane.
Range window_of(const PoolShape& s, int axis, int64_t i) {
  const int64_t begin = i * s.stride[axis] - s.padding[axis], end = begin + s.kernel[axis];
  return {begin > 0 ? begin : 0, end < s.in[axis] ? end : s.in[axis]};
}

/// The windows that hold place i.
Range windows_with(const PoolShape& s, int axis, int64_t i) {
  const int64_t at = i + s.padding[axis], first = at - s.kernel[axis] + 1;
  const int64_t last = at / s.stride[axis] + 1;
  return {first > 0 ? (first + s.stride[axis] - 1) / s.stride[axis] : 0,
          last < s.out[axis] ? last : s.out[axis]};
}

template <class T>
void max(const PoolShape& s, const T* x, T* y, int32_t* index, T* row) {
  const int64_t wide = s.in[1];
  T *const best = row, *const found = row + wide;  // of each column, and its row in the window
  for (int64_t i = 0; i < s.out[0]; ++i, y += s.out[1], index += s.out[1]) {
    const Range rows = window_of(s, 0, i);
    for_each_vector<T>(wide, [&](int64_t j, auto access) {
      const T* from = x + rows.begin * wide + j;
      Vec<T> top = access.get(from), at(T(0));
      for (int64_t r = rows.begin + 1; r < rows.end; ++r) {
        from += wide;
        const Vec<T> v = access.get(from);
        const auto take = (v > top) || (v != v);
        top = xsimd::select(take, v, top);
        at = xsimd::select(take, Vec<T>(static_cast<T>(r - rows.begin)), at);
      }
      access.put(best + j, top);
      access.put(found + j, at);
    });
    for (int64_t j = 0; j < s.out[1]; ++j) {
      const Range columns = window_of(s, 1, j);
      int64_t k = columns.begin;
      for (int64_t c = k + 1; c < columns.end; ++c) {
        const T v = best[c];
        const bool take = v > best[k] || v != v || (v == best[k] && found[c] < found[k]);
        k = take ? c : k;
      }
      y[j] = best[k];
      index[j] = static_cast<int32_t>((rows.begin + static_cast<int64_t>(found[k])) * wide + k);
    }
  }
}

template <class T>
void sum(const PoolShape& s, const T* x, T* y, T scale, T* row) {
  const int64_t wide = s.in[1];
  for (int64_t i = 0; i < s.out[0]; ++i, y += s.out[1]) {
    const Range rows = window_of(s, 0, i);
    for_each_vector<T>(wide, [&](int64_t j, auto access) {
      Vec<T> total(T(0));
      for (int64_t r = rows.begin; r < rows.end; ++r) total += access.get(x + r * wide + j);
      access.put(row + j, total * Vec<T>(scale));
    });
    for (int64_t j = 0; j < s.out[1]; ++j) {
      const Range columns = window_of(s, 1, j);
      T total = 0;
      for (int64_t c = columns.begin; c < columns.end; ++c) total += row[c];
      y[j] = total;
    }
  }
}

template <class T>
void spread(const PoolShape& s, const T* g, T* x, T scale, T* row) {
  const int64_t wide = s.out[1];
  for (int64_t i = 0; i < s.in[0]; ++i, x += s.in[1]) {
    const Range rows = windows_with(s, 0, i);
    for_each_vector<T>(wide, [&](int64_t j, auto access) {
      Vec<T> total(T(0));
      for (int64_t r = rows.begin; r < rows.end; ++r) total += access.get(g + r * wide + j);
      access.put(row + j, total * Vec<T>(scale));
    });
    for (int64_t j = 0; j < s.in[1]; ++j) x[j] = 0;
    for (int64_t j = 0; j < wide; ++j) {
      const Range columns = window_of(s, 1, j);
      for (int64_t c = columns.begin; c < columns.end; ++c) x[c] += row[j];
    }
  }
}

}  // namespace

extern const PoolKernels table_PoolKernels = {{max<float>, sum<float>, spread<float>},
                                              {max<double>, sum<double>, spread<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
