// Layer and RMS normalisation, forward and backward, row by row.
//
// The forward pass computes mean, variance and result in three passes over a row. The gradients of
// gamma and beta are sums over rows: the backward pass adds them up per block of rows, and
// norm_combine() then adds the blocks in double. Long rows are summed in pieces. Rows whose squares
// leave the range of T are left to norm_range.hpp. rows.cpp says what all row kernels have in
// common, reference.hpp what is computed.
#include "ops/kernels/rows/norm_range.hpp"
#include "ops/kernels/rows/row_functions.hpp"
#include "ops/kernels/rows/row_reduce.hpp"
#include "ops/kernels/simd/integers.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
inline T scalar_sqrt(T x) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_sqrtf(x);
  } else {
    return __builtin_sqrt(x);
  }
}

/// Returns the sum of part(first, n) over the pieces of a row. A row that is not `wide` is one
/// piece.
template <bool wide, class T, class Part>
RAPT_INLINE_BODY inline T sum_of_pieces(int64_t n, const Part& part) {
  if constexpr (!wide) return part(0, n);
  double total = 0;
  for (int64_t first = 0; first < n; first += norm_piece) {
    total += static_cast<double>(part(first, n - first < norm_piece ? n - first : norm_piece));
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

/// Computes the gradients of y = xhat * gamma + beta with xhat = (x - mean) * rstd. With h = dy *
/// gamma: dx = rstd * (h - mean(h) - xhat * mean(h * xhat)), dgamma = sum(dy * xhat), dbeta =
/// sum(dy).
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
      of_h = T(total_h += static_cast<double>(of_h));
      of_hx = T(total_hx += static_cast<double>(of_hx));
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

}  // namespace

template <class T, bool centred>
void norm(const NormForward<T>& s, int64_t begin, int64_t end) {
  if (s.width <= norm_piece) {
    norm_rows<T, centred, false>(s, begin, end);
  } else {
    norm_rows<T, centred, true>(s, begin, end);
  }
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
        for (int64_t j = 0; j < columns; ++j) totals[j] += static_cast<double>(from[j]);
      }
      for (int64_t j = 0; j < columns; ++j) out[first + j] = T(totals[j]);
    }
  }
}

template void norm<float, false>(const NormForward<float>&, int64_t, int64_t);
template void norm<float, true>(const NormForward<float>&, int64_t, int64_t);
template void norm<double, false>(const NormForward<double>&, int64_t, int64_t);
template void norm<double, true>(const NormForward<double>&, int64_t, int64_t);
template void norm_backward<float, false>(const NormBackward<float>&, int64_t, int64_t);
template void norm_backward<float, true>(const NormBackward<float>&, int64_t, int64_t);
template void norm_backward<double, false>(const NormBackward<double>&, int64_t, int64_t);
template void norm_backward<double, true>(const NormBackward<double>&, int64_t, int64_t);
template void norm_combine(const NormBackward<float>&, int64_t, int64_t);
template void norm_combine(const NormBackward<double>&, int64_t, int64_t);

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
