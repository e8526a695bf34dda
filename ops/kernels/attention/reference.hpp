// Attention as plain loops in double precision. The tests compare the kernels with it. Nothing is
// fused: the weights of a query are an array.
#pragma once

#include <cmath>
#include <limits>

#include "framework/core/random_bits.hpp"
#include "ops/kernels/attention/additive_attention.hpp"
#include "ops/kernels/attention/attention_arguments.hpp"

namespace rapt::kernels::reference {

template <class T>
T* row(const Heads<T>& x, int64_t b, int64_t h, int64_t t) {
  return x.data + b * x.batch + h * x.head + t * x.time;
}

template <class T>
T& element(const Pairs<T>& x, int64_t b, int64_t h, int64_t i, int64_t j) {
  return x.data[b * x.batch + h * x.head + i * x.query + j * x.key];
}

inline double dot(int64_t n, const auto* x, const auto* y) {
  double sum = 0;
  for (int64_t d = 0; d < n; ++d) sum += static_cast<double>(x[d]) * static_cast<double>(y[d]);
  return sum;
}

/// Divides exp(score - largest score) by its sum. A score of -inf is hidden and has weight 0.
/// Returns the logarithm of the sum of exp(score), or infinity if all are hidden.
inline double softmax(int64_t n, const double* score, double* weight) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double largest = -infinity, sum = 0;
  for (int64_t j = 0; j < n; ++j) largest = score[j] > largest ? score[j] : largest;
  for (int64_t j = 0; j < n; ++j) {
    const bool hidden = score[j] == -infinity;
    sum += weight[j] = hidden ? 0 : std::exp(score[j] - largest);
  }
  for (int64_t j = 0; j < n && sum > 0; ++j) weight[j] /= sum;
  return sum > 0 ? largest + std::log(sum) : infinity;
}

/// True if query i sees key j: lengths, band, prefix, documents and the mask all agree.
template <class T>
bool sees(const Attention<T>& a, int64_t b, int64_t h, int64_t i, int64_t j) {
  if (a.key_lengths != nullptr && j >= a.key_lengths[b]) return false;
  if (a.query_lengths != nullptr && i >= a.query_lengths[b]) return false;
  if (j < i + a.band_first || j > i + a.band_last) return false;
  if (a.prefix != nullptr && j >= a.prefix[b * a.prefix_step] && j > i + a.prefix_last)
    return false;
  if (a.query_documents != nullptr && a.query_documents[b * a.query_documents_step + i] !=
                                          a.key_documents[b * a.key_documents_step + j]) {
    return false;
  }
  return a.keep.data == nullptr || element(a.keep, b, h, i, j) != 0;
}

/// Writes the weights of one query before dropout, [keys]. Returns the logarithm of their sum
/// before it was divided out, as softmax(). There is no score function.
template <class T>
double attention_weights(const Attention<T>& a, int64_t b, int64_t h, int64_t i, double* weight) {
  const int64_t group = a.query_heads / a.key_heads;
  for (int64_t j = 0; j < a.keys; ++j) {
    double score = -std::numeric_limits<double>::infinity();
    if (sees(a, b, h, i, j)) {
      score =
          dot(a.depth, row(a.q, b, h, i), row(a.k, b, h / group, j)) * static_cast<double>(a.scale);
      if (a.bias.data != nullptr) score += static_cast<double>(element(a.bias, b, h, i, j));
    }
    weight[j] = score;
  }
  return softmax(a.keys, weight, weight);
}

/// Returns what dropout multiplies a weight by: 0, or 1 / (1 - dropout).
template <class T>
double dropout_factor(const Attention<T>& a, int64_t b, int64_t h, int64_t i, int64_t j) {
  if (a.dropout == 0) return 1;
  const int64_t index = ((b * a.query_heads + h) * a.queries + i) * a.keys + j;
  const uint32_t bits = internal::random_bits(a.key0, a.key1, static_cast<uint64_t>(index));
  return bits < internal::dropout_threshold(a.dropout) ? 0 : 1 / (1 - a.dropout);
}

/// Returns element d of one query's output, given the query's weights.
template <class T>
double attention(const Attention<T>& a, int64_t b, int64_t h, int64_t i, int64_t d,
                 const double* weight) {
  const int64_t group = a.query_heads / a.key_heads;
  double sum = 0;
  for (int64_t j = 0; j < a.keys; ++j) {
    if (weight[j] == 0) continue;  // What is hidden may be NaN.
    const double value = static_cast<double>(row(a.v, b, h / group, j)[d]);
    sum += weight[j] * dropout_factor(a, b, h, i, j) * value;
  }
  return sum;
}

template <class T>
struct AttentionGradients {
  Heads<T> q, k, v;
  Pairs<T> bias;
};

/// Adds one query's share to all gradients, given the query's weights:
/// d weight = dropout (grad_out . v), d score = weight (d weight - sum over keys of weight d
/// weight).
template <class T>
void attention_gradient(const Attention<T>& a, const Heads<const T>& grad_out, int64_t b, int64_t h,
                        int64_t i, const double* weight, const AttentionGradients<double>& grad) {
  const int64_t g = h / (a.query_heads / a.key_heads);
  const T* const out = row(grad_out, b, h, i);
  const auto grad_weight = [&](int64_t j) {
    return dropout_factor(a, b, h, i, j) * dot(a.value_depth, out, row(a.v, b, g, j));
  };
  double mean = 0;
  for (int64_t j = 0; j < a.keys; ++j) {
    if (weight[j] != 0) mean += weight[j] * grad_weight(j);
  }
  for (int64_t j = 0; j < a.keys; ++j) {
    if (weight[j] == 0) continue;
    const double dropped = weight[j] * dropout_factor(a, b, h, i, j);
    const double grad_score = weight[j] * (grad_weight(j) - mean);
    const double scaled = grad_score * static_cast<double>(a.scale);
    for (int64_t d = 0; d < a.value_depth; ++d) {
      row(grad.v, b, g, j)[d] += dropped * static_cast<double>(out[d]);
    }
    for (int64_t d = 0; d < a.depth; ++d) {
      row(grad.q, b, h, i)[d] += scaled * static_cast<double>(row(a.k, b, g, j)[d]);
      row(grad.k, b, g, j)[d] += scaled * static_cast<double>(row(a.q, b, h, i)[d]);
    }
    if (grad.bias.data != nullptr) element(grad.bias, b, h, i, j) += grad_score;
  }
}

/// True if key t of additive attention is visible to a query.
template <class T>
bool sees(const AdditiveAttention<T>& a, int64_t b, int64_t query, int64_t t) {
  const auto at = [&](const auto& x) { return x.data[b * x.batch + query * x.query + t * x.key]; };
  return (a.lengths == nullptr || t < a.lengths[b]) && (a.keep.data == nullptr || at(a.keep) != 0);
}

/// Writes the weights of one query of additive attention, [keys]: the softmax of the scores
/// v . tanh(query + key) + bias.
template <class T>
void additive_weights(const AdditiveAttention<T>& a, int64_t b, int64_t query, double* weight) {
  const T* const q = a.query.data + b * a.query.batch + query * a.query.time;
  for (int64_t t = 0; t < a.keys; ++t) {
    const T* const k = a.key.data + b * a.key.batch + t * a.key.time;
    weight[t] = -std::numeric_limits<double>::infinity();
    if (!sees(a, b, query, t)) continue;
    const OfPairs<const T>& bias = a.bias;
    weight[t] =
        bias.data == nullptr
            ? 0
            : static_cast<double>(bias.data[b * bias.batch + query * bias.query + t * bias.key]);
    for (int64_t j = 0; j < a.width; ++j) {
      weight[t] += static_cast<double>(a.v[j]) *
                   std::tanh(static_cast<double>(q[j]) + static_cast<double>(k[j]));
    }
  }
  softmax(a.keys, weight, weight);
}

/// Returns element m of one query's context: the sum of the memory by the query's weights.
template <class T>
double additive_context(const AdditiveAttention<T>& a, int64_t b, int64_t m, const double* weight) {
  double sum = 0;
  for (int64_t t = 0; t < a.keys; ++t) {
    if (weight[t] == 0) continue;  // What is hidden may be NaN.
    sum +=
        weight[t] * static_cast<double>(a.memory.data[b * a.memory.batch + t * a.memory.time + m]);
  }
  return sum;
}

}  // namespace rapt::kernels::reference
