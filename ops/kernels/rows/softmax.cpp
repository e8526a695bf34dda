// Softmax and log-softmax, forward and backward, row by row.
//
// The forward pass reduces the next row in the same pass that writes the current one, so that
// memory is busy while a reduction waits for its lanes. The backward pass of softmax does the same
// with sum(dy y). rows.cpp says what all row kernels have in common, reference.hpp what is
// computed.
#include "ops/kernels/rows/row_functions.hpp"
#include "ops/kernels/rows/row_reduce.hpp"
#include "ops/kernels/simd/math.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

inline const uint8_t* mask_row(const RowMask& mask, int64_t row) {
  int64_t offset = 0;
  for (int d = mask.dims - 1; d >= 0; --d) {
    offset += row % mask.shape[d] * mask.strides[d];
    row /= mask.shape[d];
  }
  return mask.data + offset;
}

/// Returns scale * x for kept elements, and -inf for masked ones and past the end.
template <bool masked, class T, class Access>
RAPT_INLINE_BODY inline Vec<T> score(const Access& access, const T* x, const uint8_t* keep,
                                     T scale) {
  // A negative scale would turn a fill of -inf into +inf.
  const Vec<T> v = get(access, x, scale < T(0) ? infinity<T> : -infinity<T>) * Vec<T>(scale);
  if constexpr (masked) {
    return xsimd::select(get_mask<T>(access, keep), v, Vec<T>(-infinity<T>));
  } else {
    return v;
  }
}

template <class T, bool masked>
T largest(const T* x, int64_t n, T scale, const uint8_t* keep) {
  Accumulators<T> top(-infinity<T>);
  over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
    top.of[slot] = xsimd::max(top.of[slot], score<masked>(access, x + j, keep + j, scale));
  });
  return top.max();
}

template <bool masked>
inline bool keeps_any(const uint8_t* keep, int64_t n) {
  bool any = !masked;
  if constexpr (masked) {
    for (int64_t j = 0; j < n && !any; ++j) any = keep[j] != 0;
  }
  return any;
}

/// Computes one row whose largest score is m. Returns the largest score of row `next`, which is
/// computed in the same pass. Waiting for it separately would leave the memory idle.
template <class T, bool masked, bool logarithm>
T softmax_row(const T* x, T* y, int64_t n, T scale, const uint8_t* keep, T m, const T* next,
              const uint8_t* next_keep) {
  // Nothing is kept, so every exponential below is 0. (NaN shows up in the sum, not here.)
  const bool none = m == -infinity<T>;
  const Vec<T> base(none ? T(0) : m);
  Accumulators<T> total(0), top(-infinity<T>);
  const Ahead<T> ahead(n), two_ahead(2 * n);
  over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
    two_ahead(x + j, slot);
    ahead(y + j, slot);
    const Vec<T> e = exp(score<masked>(access, x + j, keep + j, scale) - base);
    total.of[slot] += e;
    if constexpr (!logarithm) access.put(y + j, e);
    top.of[slot] = xsimd::max(top.of[slot], score<masked>(access, next + j, next_keep + j, scale));
  });
  const T sum = total.sum(), next_top = top.max();
  if (sum == T(0)) {
    const Vec<T> value(logarithm && keeps_any<masked>(keep, n) ? -infinity<T> : T(0));
    over_row<T>(n, [&](int64_t j, auto access, int) RAPT_INLINE_BODY { access.put(y + j, value); });
  } else if constexpr (logarithm) {
    // The largest score is subtracted first. If log_sum were added to it, log_sum could be lost in
    // rounding.
    const Vec<T> log_sum(scalar_log(sum));
    over_row<T>(n, [&](int64_t j, auto access, int) RAPT_INLINE_BODY {
      access.put(y + j, (score<masked>(access, x + j, keep + j, scale) - base) - log_sum);
    });
  } else {
    const Vec<T> factor(T(1) / sum);
    over_row<T>(n, [&](int64_t j, auto access, int)
                       RAPT_INLINE_BODY { access.put(y + j, access.get(y + j) * factor); });
  }
  return next_top;
}

template <class T, bool masked, bool logarithm>
void softmax_rows(const SoftmaxForward<T>& s, int64_t begin, int64_t end) {
  // A scale of 0 would turn the infinities past a row's end into NaN.
  const T scale = s.scale == T(0) ? std::numeric_limits<T>::denorm_min() : s.scale;
  const auto keep_of = [&](int64_t r) { return masked ? mask_row(s.mask, r) : nullptr; };
  const uint8_t* keep = keep_of(begin);
  T top = largest<T, masked>(s.x + begin * s.width, s.width, scale, keep);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t at = r * s.width, next = r + 1 < end ? r + 1 : r;
    const uint8_t* next_keep = keep_of(next);
    top = softmax_row<T, masked, logarithm>(s.x + at, s.y + at, s.width, scale, keep, top,
                                            s.x + next * s.width, next_keep);
    keep = next_keep;
  }
}

template <class T, bool streaming>
void softmax_backward_rows(const SoftmaxBackward<T>& s, int64_t begin, int64_t end) {
  const int64_t n = s.width;
  const Vec<T> scale(s.scale);
  const Ahead<T> ahead(n), two_ahead(2 * n), four_ahead(4 * n);
  // y is 0 under the mask, whatever the upstream gradient is.
  const auto product = [](const T* y, const T* dy, auto access) RAPT_INLINE_BODY {
    const Vec<T> v = access.get(y);
    return xsimd::select(v == Vec<T>(0), Vec<T>(0), v * access.get(dy));
  };
  Accumulators<T> total(0);
  for (int64_t r = begin; r < end; ++r) {
    const T* y = s.y + r * n;
    const T* dy = s.dy + r * n;
    T* dx = s.dx + r * n;
    if (r == begin) {
      over_row<T>(n, [&](int64_t j, auto access, int slot)
                         RAPT_INLINE_BODY { total.of[slot] += product(y + j, dy + j, access); });
    }
    const Vec<T> minus_sum(-total.sum());
    total = Accumulators<T>(0);
    // The next row's sum is computed in the same pass: a separate pass would leave the memory idle.
    const int64_t next = r + 1 < end ? n : 0;
    over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
      two_ahead(y + j, slot);
      if constexpr (streaming) {
        four_ahead(dy + j, slot);
      } else {
        two_ahead(dy + j, slot);
        ahead(dx + j, slot);
      }
      total.of[slot] += product(y + next + j, dy + next + j, access);
      // Fused explicitly, as in norm_backward_row().
      put<streaming>(
          access, dx + j,
          multiply_add(access.get(y + j), minus_sum, product(y + j, dy + j, access)) * scale);
    });
  }
  if constexpr (streaming) streaming_done();
}

/// True if all elements of a row are -inf. In other rows, the first elements usually decide.
template <class T>
bool all_hidden(const T* y, int64_t n) {
  int64_t j = 0;
  while (j < n && y[j] == -infinity<T>) ++j;
  return j == n;
}

template <class T, bool masked>
void log_softmax_backward_row(const T* y, const T* dy, T* dx, int64_t n, T scale,
                              const uint8_t* keep) {
  if (!keeps_any<masked>(keep, n) || all_hidden(y, n)) {
    over_row<T>(
        n, [&](int64_t j, auto access, int) RAPT_INLINE_BODY { access.put(dx + j, Vec<T>(0)); });
    return;
  }
  const Vec<T> factor(scale);
  const Vec<T> zero(0);
  Accumulators<T> total(0);
  over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
    Vec<T> g = access.get(dy + j);
    if constexpr (masked) g = xsimd::select(get_mask<T>(access, keep + j), g, zero);
    total.of[slot] += g;
  });
  const Vec<T> sum(total.sum());
  const Ahead<T> ahead(n);
  over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
    ahead(y + j, slot);
    ahead(dy + j, slot);
    ahead(dx + j, slot);
    Vec<T> d = (access.get(dy + j) - exp(access.get(y + j)) * sum) * factor;
    if constexpr (masked) d = xsimd::select(get_mask<T>(access, keep + j), d, zero);
    access.put(dx + j, d);
  });
}

}  // namespace

template <class T, bool logarithm>
void softmax(const SoftmaxForward<T>& s, int64_t begin, int64_t end) {
  if (begin >= end) return;
  if (s.mask.data != nullptr) {
    softmax_rows<T, true, logarithm>(s, begin, end);
  } else {
    softmax_rows<T, false, logarithm>(s, begin, end);
  }
}

template <class T>
void softmax_backward(const SoftmaxBackward<T>& s, int64_t begin, int64_t end) {
  if (streams(s)) {
    softmax_backward_rows<T, true>(s, begin, end);
  } else {
    softmax_backward_rows<T, false>(s, begin, end);
  }
}

template <class T>
void log_softmax_backward(const SoftmaxBackward<T>& s, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const int64_t at = r * s.width;
    if (s.mask.data != nullptr) {
      log_softmax_backward_row<T, true>(s.y + at, s.dy + at, s.dx + at, s.width, s.scale,
                                        mask_row(s.mask, r));
    } else {
      log_softmax_backward_row<T, false>(s.y + at, s.dy + at, s.dx + at, s.width, s.scale, nullptr);
    }
  }
}

template void softmax<float, false>(const SoftmaxForward<float>&, int64_t, int64_t);
template void softmax<float, true>(const SoftmaxForward<float>&, int64_t, int64_t);
template void softmax<double, false>(const SoftmaxForward<double>&, int64_t, int64_t);
template void softmax<double, true>(const SoftmaxForward<double>&, int64_t, int64_t);
template void softmax_backward(const SoftmaxBackward<float>&, int64_t, int64_t);
template void softmax_backward(const SoftmaxBackward<double>&, int64_t, int64_t);
template void log_softmax_backward(const SoftmaxBackward<float>&, int64_t, int64_t);
template void log_softmax_backward(const SoftmaxBackward<double>&, int64_t, int64_t);

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
