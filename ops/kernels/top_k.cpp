#include <rapt/ops/kernels/row_reduce.hpp>
#include <rapt/ops/kernels/top_k.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

/// Whether a comes before b, which lies at a lower place: equal elements keep their order.
template <class T>
bool before(T a, T b) {
  return a > b || (a != a && b == b);
}

/// The k best so far, in order.
template <class T>
struct Best {
  T* values;
  int32_t* indices;
  int64_t count, k;

  void offer(T value, int64_t index) {
    if (count == k && !before(value, values[k - 1])) return;
    int64_t at = count < k ? count++ : k - 1;
    for (; at > 0 && before(value, values[at - 1]); --at) {
      values[at] = values[at - 1];
      indices[at] = indices[at - 1];
    }
    values[at] = value;
    indices[at] = static_cast<int32_t>(index);
  }
};

/// Whether an element of these vectors could come before `last`: is larger, or NaN.
template <class T, int n>
bool any_above(const T* x, const Vec<T>& last) {
  xsimd::batch_bool<T, Arch> not_above = load(x) <= last;
  for (int i = 1; i < n; ++i) not_above = not_above & (load(x + i * lanes<T>) <= last);
  return !xsimd::all(not_above);
}

/// Once a few elements have been seen, few others are among the best: most of a row is passed over
/// four vectors at a time.
template <class T>
void top_k(const TopK<T>& a, int64_t begin, int64_t end) {
  constexpr int64_t block = 4 * lanes<T>;
  for (int64_t r = begin; r < end; ++r) {
    const T* x = a.x + r * a.row;
    Best<T> best{a.values + r * a.k, a.indices + r * a.k, 0, a.k};
    if (a.k == 0) continue;
    int64_t j = 0;
    for (; j < a.k; ++j) best.offer(x[j], j);
    for (; j + block <= a.width; j += block) {
      if (!any_above<T, 4>(x + j, Vec<T>(best.values[a.k - 1]))) continue;
      for (int64_t i = j; i < j + block; ++i) best.offer(x[i], i);
    }
    for (; j < a.width; ++j) best.offer(x[j], j);
  }
}

}  // namespace

const TopKTable table_TopKTable = {top_k<float>, top_k<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
