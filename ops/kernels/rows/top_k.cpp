// The k largest elements of each row, in descending order.
//
// The first k elements of a row start the result. Then the row is scanned in blocks of four
// vectors. A block is compared with the k-th best element so far and skipped as a whole if no
// element is larger, which is the usual case. For k up to 64 the result is kept sorted by
// insertion. For larger k it is kept as a heap with the worst element on top, which is heap-sorted
// at the end.
#include "ops/kernels/rows/top_k.hpp"

#include "ops/kernels/rows/row_reduce.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

/// True if a comes before b, where b has the lower index. Equal elements keep their order.
template <class T>
bool before(T a, T b) {
  return a > b || (a != a && b == b);
}

/// The k best elements so far, sorted. An insertion takes up to k steps.
template <class T>
struct Sorted {
  T* values;
  int32_t* indices;
  int64_t k;
  int64_t count = 0;

  /// Takes the first k elements of a row.
  void begin(const T* x) {
    while (count < k) insert(x[count], static_cast<int32_t>(count));
  }
  const T& last() const { return values[k - 1]; }
  void offer(T value, int64_t index) {
    if (before(value, last())) insert(value, static_cast<int32_t>(index));
  }
  void finish() {}

 private:
  void insert(T value, int32_t index) {
    int64_t at = count < k ? count++ : k - 1;
    for (; at > 0 && before(value, values[at - 1]); --at) {
      values[at] = values[at - 1];
      indices[at] = indices[at - 1];
    }
    values[at] = value;
    indices[at] = index;
  }
};

/// The k best elements so far as a heap with the worst one on top, for a large k. An insertion
/// takes log k steps. A heap sort at the end puts them in order.
template <class T>
struct Heap {
  T* values;
  int32_t* indices;
  int64_t k;

  void begin(const T* x) {
    for (int64_t i = 0; i < k; ++i) {
      values[i] = x[i];
      indices[i] = static_cast<int32_t>(i);
    }
    for (int64_t i = k / 2 - 1; i >= 0; --i) sink(i, k, values[i], indices[i]);
  }
  const T& last() const { return values[0]; }
  void offer(T value, int64_t index) {
    if (before(value, last())) sink(0, k, value, static_cast<int32_t>(index));
  }
  void finish() {
    for (int64_t n = k - 1; n > 0; --n) {
      const T value = values[n];
      const int32_t index = indices[n];
      values[n] = values[0];
      indices[n] = indices[0];
      sink(0, n, value, index);
    }
  }

 private:
  /// True if the given element comes later in the result than element i of the heap.
  bool later(T value, int32_t index, int64_t i) const {
    if (before(values[i], value)) return true;
    return !before(value, values[i]) && index > indices[i];
  }
  /// Places an element at position `at` of a heap of n elements and sifts it down.
  void sink(int64_t at, int64_t n, T value, int32_t index) {
    for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
      if (child + 1 < n && later(values[child + 1], indices[child + 1], child)) ++child;
      if (later(value, index, child)) break;
      values[at] = values[child];
      indices[at] = indices[child];
      at = child;
    }
    values[at] = value;
    indices[at] = index;
  }
};

/// True if an element of these vectors could come before `last`: it is larger, or NaN.
template <class T, int n>
bool any_above(const T* x, const Vec<T>& last) {
  xsimd::batch_bool<T, Arch> not_above = load(x) <= last;
  for (int i = 1; i < n; ++i) not_above = not_above & (load(x + i * lanes<T>) <= last);
  return !xsimd::all(not_above);
}

/// Finds the best elements of a row. After the first few elements, new candidates are rare, so most
/// of a row is skipped four vectors at a time.
template <class T, class Best>
void best_of_row(const T* x, int64_t width, Best best) {
  constexpr int64_t block = 4 * lanes<T>;
  best.begin(x);
  int64_t j = best.k;
  for (; j + block <= width; j += block) {
    if (!any_above<T, 4>(x + j, Vec<T>(best.last()))) continue;
    for (int64_t i = j; i < j + block; ++i) best.offer(x[i], i);
  }
  for (; j < width; ++j) best.offer(x[j], j);
  best.finish();
}

template <class T>
void top_k(const TopK<T>& a, int64_t begin, int64_t end) {
  constexpr int64_t few = 64;
  if (a.k == 0) return;
  for (int64_t r = begin; r < end; ++r) {
    const T* x = a.x + r * a.row;
    T* const values = a.values + r * a.k;
    int32_t* const indices = a.indices + r * a.k;
    if (a.k <= few) {
      best_of_row(x, a.width, Sorted<T>{values, indices, a.k});
    } else {
      best_of_row(x, a.width, Heap<T>{values, indices, a.k});
    }
  }
}

}  // namespace

const TopKTable table_TopKTable = {top_k<float>, top_k<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
