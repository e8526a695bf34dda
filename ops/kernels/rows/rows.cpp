// Softmax, log-softmax, layer and RMS normalisation and cross-entropy, forward and backward, row by
// row.
//
// Each kernel makes several passes over one row while the row is in the cache: maximum, sum of
// exponentials, result; or mean, variance, result. These passes are faster than a single-pass
// online method, which must recompute exponentials to correct itself. Softmax reduces the next row
// in the same pass that writes the current one, so that memory is busy while a reduction waits for
// its lanes. Prefetches cover the next rows, because the hardware prefetcher stops at page
// boundaries. Backward passes may write dx by non-temporal stores. Parameter gradients of the
// normalisations are summed per block of rows; norm_combine() then adds the blocks in double.
#include "ops/kernels/rows/rows.hpp"

#include <limits>

#include "ops/kernels/rows/norm_range.hpp"
#include "ops/kernels/rows/row_reduce.hpp"
#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/math.hpp"

// Bodies of row loops. Their accumulators stay in registers only if the bodies are inlined.
#define RAPT_INLINE_BODY __attribute__((always_inline))

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

template <class T>
inline T scalar_log(T x) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_logf(x);
  } else {
    return __builtin_log(x);
  }
}

template <class T>
inline T scalar_exp(T x) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_expf(x);
  } else {
    return __builtin_exp(x);
  }
}

template <class T>
inline T scalar_sqrt(T x) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_sqrtf(x);
  } else {
    return __builtin_sqrt(x);
  }
}

inline const uint8_t* mask_row(const RowMask& mask, int64_t row) {
  int64_t offset = 0;
  for (int d = mask.dims - 1; d >= 0; --d) {
    offset += row % mask.shape[d] * mask.strides[d];
    row /= mask.shape[d];
  }
  return mask.data + offset;
}

// Returns scale * x for kept elements, and -inf for masked ones and past the end.
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

template <class T, bool logarithm>
void softmax(const SoftmaxForward<T>& s, int64_t begin, int64_t end) {
  if (begin >= end) return;
  if (s.mask.data != nullptr) {
    softmax_rows<T, true, logarithm>(s, begin, end);
  } else {
    softmax_rows<T, false, logarithm>(s, begin, end);
  }
}

/// True if dx is written by non-temporal stores. Not used if dx overwrites dy, because its cache
/// lines have just been loaded.
template <class Backward>
bool streams(const Backward& s) {
  return s.streaming && s.dx != s.dy && can_stream(s.dx, s.width);
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

template <class T>
void softmax_backward(const SoftmaxBackward<T>& s, int64_t begin, int64_t end) {
  if (streams(s)) {
    softmax_backward_rows<T, true>(s, begin, end);
  } else {
    softmax_backward_rows<T, false>(s, begin, end);
  }
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

/// Returns the sum of part(first, n) over the pieces of a row. A row that is not `wide` is one
/// piece.
template <bool wide, class T, class Part>
RAPT_INLINE_BODY inline T sum_of_pieces(int64_t n, const Part& part) {
  if constexpr (!wide) return part(0, n);
  double total = 0;
  for (int64_t first = 0; first < n; first += norm_piece) {
    total += double(part(first, n - first < norm_piece ? n - first : norm_piece));
  }
  return T(total);
}

template <class T, bool centred, bool wide>
void norm_rows(const NormForward<T>& s, int64_t begin, int64_t end) {
  const int64_t n = s.width;
  const Ahead<T> two_ahead(2 * n);
  for (int64_t r = begin; r < end; ++r) {
    const T* x = s.x + r * n;
    T* y = s.y + r * n;
    T mean = 0;
    if constexpr (centred) {
      mean = sum_of_pieces<wide, T>(
                 n,
                 [&](int64_t first, int64_t count) RAPT_INLINE_BODY {
                   Accumulators<T> total(0);
                   over_row<T>(count, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
                     total.of[slot] += access.get(x + first + j);
                   });
                   return total.sum();
                 }) /
             T(n);
      s.mean[r] = mean;
    }
    const Vec<T> centre(mean);
    const T squares = sum_of_pieces<wide, T>(n, [&](int64_t first, int64_t count) RAPT_INLINE_BODY {
      Accumulators<T> total(0);
      over_row<T>(count, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
        two_ahead(x + first + j, slot);
        const Vec<T> d = get(access, x + first + j, mean) - centre;
        total.of[slot] = multiply_add(d, d, total.of[slot]);
      });
      return total.sum();
    });
    const T variance = squares / T(n) + s.epsilon;
    if (!in_range(variance)) [[unlikely]] {
      norm_out_of_range<T, centred>(s, r);
      continue;
    }
    const T rstd = T(1) / scalar_sqrt(variance);
    s.rstd[r] = rstd;
    const Vec<T> factor(rstd);
    const T* gamma = s.gamma;
    const T* beta = centred ? s.beta : nullptr;
    over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
      two_ahead(y + j, slot);
      Vec<T> v = (access.get(x + j) - centre) * factor;
      if (gamma != nullptr) v = v * access.get(gamma + j);
      if (beta != nullptr) v = v + access.get(beta + j);
      access.put(y + j, v);
    });
  }
}

template <class T, bool centred>
void norm(const NormForward<T>& s, int64_t begin, int64_t end) {
  if (s.width <= norm_piece) {
    norm_rows<T, centred, false>(s, begin, end);
  } else {
    norm_rows<T, centred, true>(s, begin, end);
  }
}

// Computes the gradients of y = xhat * gamma + beta with xhat = (x - mean) * rstd. With h = dy *
// gamma: dx = rstd * (h - mean(h) - xhat * mean(h * xhat)), dgamma = sum(dy * xhat), dbeta =
// sum(dy).
template <class T, bool centred, bool streaming, bool wide>
void norm_backward_row(const NormBackward<T>& s, int64_t r, T* dgamma, T* dbeta) {
  const int64_t n = s.width;
  const T* x = s.x + r * n;
  const T* dy = s.dy + r * n;
  const T* gamma = s.gamma;
  const Vec<T> centre(centred ? s.mean[r] : T(0));
  const Vec<T> rstd(s.rstd[r]);
  // Multiply-adds are explicit, because compilers would fuse differently in each instantiation.
  const auto weight_at = [gamma](const auto& access, int64_t j) RAPT_INLINE_BODY {
    return gamma != nullptr ? access.get(gamma + j) : Vec<T>(1);
  };
  T of_h;
  T of_hx;
  [[maybe_unused]] double total_h = 0;
  [[maybe_unused]] double total_hx = 0;
  const Ahead<T> two_ahead(2 * n);
  int64_t first = 0;
  do {
    Accumulators<T> sum_h(0);
    Accumulators<T> sum_hx(0);
    const int64_t count = wide && n - first > norm_piece ? norm_piece : n - first;
    over_row<T>(count, [&](int64_t i, auto access, int slot) RAPT_INLINE_BODY {
      const int64_t j = first + i;
      two_ahead(x + j, slot);
      two_ahead(dy + j, slot);
      const Vec<T> xhat = (access.get(x + j) - centre) * rstd;
      const Vec<T> g = access.get(dy + j);
      const Vec<T> weight = weight_at(access, j);
      if constexpr (centred) sum_h.of[slot] = multiply_add(g, weight, sum_h.of[slot]);
      sum_hx.of[slot] = multiply_add(g * weight, xhat, sum_hx.of[slot]);
      if (dgamma != nullptr) {
        access.put(dgamma + j, multiply_add(g, xhat, access.get(dgamma + j)));
        if constexpr (centred) access.put(dbeta + j, access.get(dbeta + j) + g);
      }
    });
    of_h = sum_h.sum();
    of_hx = sum_hx.sum();
    if constexpr (wide) {
      of_h = T(total_h += double(of_h));
      of_hx = T(total_hx += double(of_hx));
    }
    first += count;
  } while (wide && first < n);
  if (s.dx == nullptr) return;
  T* dx = s.dx + r * n;
  const Vec<T> minus_mean_h(-of_h / T(n));
  const Vec<T> minus_mean_hx(-of_hx / T(n));
  over_row<T>(n, [&](int64_t j, auto access, int slot) RAPT_INLINE_BODY {
    if constexpr (!streaming) two_ahead(dx + j, slot);
    const Vec<T> xhat = (access.get(x + j) - centre) * rstd;
    const Vec<T> g = access.get(dy + j);
    const Vec<T> rest = multiply_add(g, weight_at(access, j), minus_mean_h);
    put<streaming>(access, dx + j, multiply_add(xhat, minus_mean_hx, rest) * rstd);
  });
}

template <class T, bool centred>
void norm_backward(const NormBackward<T>& s, int64_t block_begin, int64_t block_end) {
  const int64_t block = norm_block_rows(s.rows);
  const bool streaming = streams(s);
  for (int64_t b = block_begin; b < block_end; ++b) {
    T* dgamma = s.partial != nullptr ? s.partial + b * 2 * s.width : nullptr;
    T* dbeta = s.partial != nullptr ? dgamma + s.width : nullptr;
    for (int64_t j = 0; dgamma != nullptr && j < 2 * s.width; ++j) dgamma[j] = T(0);
    const int64_t last = smaller((b + 1) * block, s.rows);
    for (int64_t r = b * block; r < last; ++r) {
      if (!in_range_backward(s.rstd[r])) [[unlikely]] {
        norm_backward_out_of_range<T, centred>(s, r, dgamma, dbeta);
      } else if (s.width > norm_piece) {
        norm_backward_row<T, centred, false, true>(s, r, dgamma, dbeta);
      } else if (streaming) {
        norm_backward_row<T, centred, true, false>(s, r, dgamma, dbeta);
      } else {
        norm_backward_row<T, centred, false, false>(s, r, dgamma, dbeta);
      }
    }
  }
  if (streaming) streaming_done();
}

template <class T>
void norm_combine(const NormBackward<T>& s, int64_t column_begin, int64_t column_end) {
  const int64_t blocks = norm_blocks(s.rows);
  for (int which = 0; which < 2; ++which) {
    T* out = which == 0 ? s.dgamma : s.dbeta;
    if (out == nullptr) continue;
    constexpr int64_t tile = 128;
    alignas(64) double totals[tile];
    for (int64_t first = column_begin; first < column_end; first += tile) {
      const int64_t columns = smaller(column_end - first, tile);
      const T* from = s.partial + which * s.width + first;
      for (int64_t j = 0; j < columns; ++j) totals[j] = 0;
      for (int64_t b = 0; b < blocks; ++b, from += 2 * s.width) {
        for (int64_t j = 0; j < columns; ++j) totals[j] += double(from[j]);
      }
      for (int64_t j = 0; j < columns; ++j) out[first + j] = T(totals[j]);
    }
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

// With p = softmax(x), the gradient d loss / d x[c] is (1 - smoothing) w[label] (p[c] - [c =
// label]) + smoothing / C (p[c] sum(w) - w[c]).
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

template <class T>
constexpr RowFunctions<T> functions = {
    softmax<T, false>, softmax_backward<T>,    softmax<T, true>,         log_softmax_backward<T>,
    norm<T, true>,     norm_backward<T, true>, norm<T, false>,           norm_backward<T, false>,
    norm_combine<T>,   cross_entropy<T>,       cross_entropy_backward<T>};

}  // namespace

extern const RowKernels table_RowKernels;
const RowKernels table_RowKernels = {functions<float>, functions<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
