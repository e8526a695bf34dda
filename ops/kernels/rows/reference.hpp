// The kernels of rows as plain loops, one row at a time. The tests compare the kernels with them.
// Long double where sums of the reference itself must not count.
#pragma once

#include <cmath>
#include <limits>

#include "ops/kernels/rows/reduce.hpp"

namespace rapt::kernels::reference {

/// Computes y = softmax(scale * x) over the elements that keep(j) keeps, and log_y, its logarithm.
/// Where nothing is kept, both are 0. Elsewhere a masked element has log_y -inf.
template <class T, class Keep>
void softmax(int64_t n, const T* x, double scale, const Keep& keep, double* y, double* log_y) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double largest = -infinity, sum = 0;
  for (int64_t j = 0; j < n; ++j) {
    const double score = keep(j) ? static_cast<double>(x[j]) * scale : -infinity;
    if (score > largest) largest = score;
  }
  for (int64_t j = 0; j < n; ++j) {
    y[j] = keep(j) ? std::exp(static_cast<double>(x[j]) * scale - largest) : 0;
    sum += y[j];
  }
  for (int64_t j = 0; j < n; ++j) {
    const double score = static_cast<double>(x[j]) * scale;
    log_y[j] = sum == 0 ? 0 : keep(j) ? score - largest - std::log(sum) : -infinity;
    y[j] = sum == 0 ? 0 : y[j] / sum;
  }
}

/// Computes the gradients of scale * x from those of y and of log_y, which are both dy:
/// y (dy - sum(dy y)), and dy - y sum(dy) over the kept elements.
template <class T, class Keep>
void softmax_backward(int64_t n, const double* y, const T* dy, double scale, const Keep& keep,
                      double* dx, double* log_dx) {
  double dot = 0, sum = 0;
  for (int64_t j = 0; j < n; ++j) {
    dot += y[j] * static_cast<double>(dy[j]);
    if (keep(j)) sum += static_cast<double>(dy[j]);
  }
  for (int64_t j = 0; j < n; ++j) {
    const double g = static_cast<double>(dy[j]);
    dx[j] = scale * y[j] * (g - dot);
    log_dx[j] = keep(j) ? scale * (g - y[j] * sum) : 0;
  }
}

/// Computes normal = (x - mean) / sqrt(variance + epsilon) and returns 1 / sqrt(..). Without
/// `centred`, for RMS normalisation, the mean counts as 0.
template <class T>
double normalise(int64_t n, const T* x, double epsilon, bool centred, double* normal) {
  long double mean = 0, variance = 0;
  for (int64_t j = 0; j < n && centred; ++j) mean += static_cast<long double>(x[j]);
  mean /= static_cast<long double>(n);
  for (int64_t j = 0; j < n; ++j) variance += (x[j] - mean) * (x[j] - mean);
  const long double rstd =
      1 / std::sqrt(variance / static_cast<long double>(n) + static_cast<long double>(epsilon));
  for (int64_t j = 0; j < n; ++j) normal[j] = static_cast<double>((x[j] - mean) * rstd);
  return static_cast<double>(rstd);
}

/// Computes dx = rstd (h - mean(h) - normal mean(h normal)), with h = dy gamma. Without `centred`,
/// mean(h) counts as 0. The gradients of gamma and beta are dy normal and dy, added over the rows.
template <class T>
void normalise_backward(int64_t n, const double* normal, double rstd, const T* dy, const T* gamma,
                        bool centred, double* dx) {
  const auto h = [&](int64_t j) {
    return static_cast<double>(dy[j]) * (gamma != nullptr ? static_cast<double>(gamma[j]) : 1);
  };
  long double mean = 0, dot = 0;
  for (int64_t j = 0; j < n; ++j) {
    if (centred) mean += h(j) / static_cast<long double>(n);
    dot += static_cast<long double>(h(j)) * normal[j] / static_cast<long double>(n);
  }
  for (int64_t j = 0; j < n; ++j) {
    dx[j] = static_cast<double>(rstd * (h(j) - mean - normal[j] * dot));
  }
}

/// Returns the cross-entropy of a row whose label is not ignored, and computes its gradient:
/// loss = (1 - smoothing) w[label] (-log p[label]) + smoothing / n sum_c w[c] (-log p[c]).
/// log_sum receives the logarithm of the sum of exp(x).
template <class T>
double cross_entropy(int64_t n, const T* x, int64_t label, const T* weight, double smoothing,
                     double& log_sum, double* dx) {
  const auto w = [&](int64_t j) {
    return weight != nullptr ? static_cast<double>(weight[j]) : 1.0;
  };
  double sum = 0, smooth = 0, all = 0;
  for (int64_t j = 0; j < n; ++j) sum += std::exp(static_cast<double>(x[j]));
  log_sum = std::log(sum);
  for (int64_t j = 0; j < n; ++j) {
    smooth += w(j) * (log_sum - static_cast<double>(x[j]));
    all += w(j);
  }
  const double share = smoothing / static_cast<double>(n);
  for (int64_t j = 0; j < n; ++j) {
    const double p = std::exp(static_cast<double>(x[j]) - log_sum);
    dx[j] = (1 - smoothing) * w(label) * (p - (j == label ? 1 : 0)) + share * (p * all - w(j));
  }
  return (1 - smoothing) * w(label) * (log_sum - static_cast<double>(x[label])) + share * smooth;
}

/// All reductions of n elements that are `stride` apart, and the sum of their absolute values.
struct Reduced {
  double sum = 0, absolute = 0, sum_of_squares = 0;
  double max = -std::numeric_limits<double>::infinity();
  double min = std::numeric_limits<double>::infinity();
  double logsumexp = -std::numeric_limits<double>::infinity();
  int32_t argmax = 0;
};

template <class T>
Reduced reduce(int64_t n, const T* x, int64_t stride) {
  Reduced r;
  long double sum = 0, absolute = 0, squares = 0, exponentials = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto v = static_cast<double>(x[i * stride]);
    sum += v;
    absolute += std::fabs(v);
    squares += v * v;
    if (v > r.max) r.argmax = static_cast<int32_t>(i);
    if (v > r.max) r.max = v;
    if (v < r.min) r.min = v;
  }
  for (int64_t i = 0; i < n; ++i) {
    exponentials += std::exp(static_cast<long double>(x[i * stride]) - r.max);
  }
  r.sum = static_cast<double>(sum);
  r.absolute = static_cast<double>(absolute);
  r.sum_of_squares = static_cast<double>(squares);
  if (n > 0) r.logsumexp = r.max + static_cast<double>(std::log(exponentials));
  return r;
}

/// Computes y[k] = the sum of x up to k, or from k on if reversed.
template <class T>
void cumsum(int64_t n, const T* x, int64_t x_stride, bool reversed, double* y) {
  double total = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t k = reversed ? n - 1 - i : i;
    y[k] = total += static_cast<double>(x[k * x_stride]);
  }
}

}  // namespace rapt::kernels::reference
