// Cross-entropy of rows of logits, forward and backward.
//
// The forward pass finds the largest logit of a row, then sums the exponentials relative to it.
// With label smoothing, the same pass sums all logits. The backward pass computes the softmax again
// from the two numbers that the forward pass kept. rows.cpp says what all row kernels have in
// common, reference.hpp what is computed.
#include "ops/kernels/rows/row_functions.hpp"
#include "ops/kernels/rows/row_reduce.hpp"
#include "ops/kernels/simd/math.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
inline T scalar_exp(T x) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_expf(x);
  } else {
    return __builtin_exp(x);
  }
}

template <class T>
inline T weight_sum(const T* weight, int64_t n) {
  if (weight == nullptr) return T(n);
  Accumulators<T> total(0);
  over_row<T>(n, [&](int64_t j, auto access, int slot)
                     RAPT_INLINE_BODY { total.of[slot] += access.get(weight + j); });
  return total.sum();
}

}  // namespace

template <class T>
int64_t cross_entropy(const CrossEntropy<T>& s, int64_t begin, int64_t end) {
  const int64_t n = s.classes;
  const bool smooth = s.smoothing > T(0);
  const T all_weights = smooth ? weight_sum(s.class_weight, n) : T(0);
  const Ahead<T> ahead(n);
  int64_t bad = -1;
  for (int64_t r = begin; r < end; ++r) {
    const int32_t label = s.labels[r];
    const bool valid = label >= 0 && label < n;
    if (label == s.ignore || !valid) {
      if (label != s.ignore && bad < 0) bad = r;
      s.loss[r] = T(0);
      s.largest[r] = T(0);
      s.log_sum[r] = T(0);
      if (s.weight != nullptr) s.weight[r] = T(0);
      continue;
    }
    const T* x = s.logits + r * n;
    Accumulators<T> top(-infinity<T>);
    over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
      top.of[slot] = xsimd::max(top.of[slot], get(access, x + j, -infinity<T>));
    });
    const T found = top.max();
    const T m = found == -infinity<T> ? T(0) : found;
    const Vec<T> base(m);
    Accumulators<T> total(0);
    Accumulators<T> shifted(0);  // sum of w (x - m)
    over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
      ahead(x + j, slot);
      total.of[slot] += exp(get(access, x + j, -infinity<T>) - base);
      if (smooth) {
        const Vec<T> d = get(access, x + j, m) - base;
        shifted.of[slot] += s.class_weight != nullptr ? d * access.get(s.class_weight + j) : d;
      }
    });
    const T sum = total.sum();
    const T log_sum = sum == T(0) ? infinity<T> : scalar_log(sum);
    const T w = s.class_weight != nullptr ? s.class_weight[label] : T(1);
    T loss = (T(1) - s.smoothing) * w * (log_sum - (x[label] - m));
    if (smooth) loss += s.smoothing / T(n) * (log_sum * all_weights - shifted.sum());
    s.loss[r] = loss;
    s.largest[r] = m;
    s.log_sum[r] = log_sum;
    if (s.weight != nullptr) s.weight[r] = w;
  }
  return bad;
}

/// With p = softmax(x), the gradient d loss / d x[c] is (1 - smoothing) w[label] (p[c] - [c =
/// label]) + smoothing / C (p[c] sum(w) - w[c]).
template <class T>
void cross_entropy_backward(const CrossEntropyBackward<T>& s, int64_t begin, int64_t end) {
  const int64_t n = s.classes;
  const bool smooth = s.smoothing > T(0);
  const T all_weights = smooth ? weight_sum(s.class_weight, n) : T(0);
  for (int64_t r = begin; r < end; ++r) {
    const int32_t label = s.labels[r];
    const T* x = s.logits + r * n;
    T* dx = s.dlogits + r * n;
    if (label == s.ignore || label < 0 || label >= n || s.log_sum[r] == infinity<T>) {
      over_row<T>(
          n, [&](int64_t j, auto access, int) RAPT_INLINE_BODY { access.put(dx + j, Vec<T>(0)); });
      continue;
    }
    const T g = s.grad[r * s.grad_stride];
    const T w = s.class_weight != nullptr ? s.class_weight[label] : T(1);
    const T on_label = g * (T(1) - s.smoothing) * w;
    const T each = g * s.smoothing / T(n);
    const T of_p = on_label + each * all_weights;
    const Vec<T> base(s.largest[r]), log_sum(s.log_sum[r]);
    const Vec<T> factor(of_p);
    const Vec<T> less(each);
    const Ahead<T> ahead;
    // Computed before the loop, because dx may alias x.
    const T p = scalar_exp((x[label] - s.largest[r]) - s.log_sum[r]);
    const T at_label = of_p * p - each * w - on_label;
    over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
      ahead(x + j, slot);
      ahead(dx + j, slot);
      Vec<T> d = exp((access.get(x + j) - base) - log_sum) * factor;
      if (smooth) {
        d = d - (s.class_weight != nullptr ? less * access.get(s.class_weight + j) : less);
      }
      access.put(dx + j, d);
    });
    dx[label] = at_label;
  }
}

template int64_t cross_entropy(const CrossEntropy<float>&, int64_t, int64_t);
template int64_t cross_entropy(const CrossEntropy<double>&, int64_t, int64_t);
template void cross_entropy_backward(const CrossEntropyBackward<float>&, int64_t, int64_t);
template void cross_entropy_backward(const CrossEntropyBackward<double>&, int64_t, int64_t);

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
