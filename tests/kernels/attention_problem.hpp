// Problems of attention for tests: arrays that end where memory does, and what the reference makes
// of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "ops/kernels/attention/attention.hpp"
#include "ops/kernels/attention/reference.hpp"
#include "tests/support/guarded.hpp"

namespace rapt::test {

using namespace rapt::kernels;

inline constexpr double infinity = std::numeric_limits<double>::infinity();

struct Options {
  int64_t B = 2, Hq = 2, Hk = 2, Tq = 5, Tk = 7, D = 3, Dv = 4;
  int64_t band_first = -unlimited, band_last = unlimited;
  bool key_lengths = false, query_lengths = false;
  int keep = 0;  // Bits: has b, h, q, k. 0: no mask.
  int bias = 0;  // The same.
  double dropout = 0;
};

inline std::string describe(const Options& o) {
  std::string text;
  for (const int64_t x : {o.B, o.Hq, o.Hk, o.Tq, o.Tk, o.D, o.Dv}) text += std::to_string(x) + " ";
  if (o.band_first != -unlimited) text += "first " + std::to_string(o.band_first) + " ";
  if (o.band_last != unlimited) text += "last " + std::to_string(o.band_last) + " ";
  return text + "lengths " + std::to_string(o.key_lengths) + std::to_string(o.query_lengths) +
         " keep " + std::to_string(o.keep) + " bias " + std::to_string(o.bias) + " dropout " +
         std::to_string(o.dropout);
}

/// A guarded [B, T, H, n] array seen as [B, H, T, n], with a gap after each time step.
template <class T>
struct HeadArray {
  HeadArray(int64_t B, int64_t H, int64_t time, int64_t n, double spread = 0, uint32_t seed = 1)
      : heads{nullptr, time * (H * n + 3), n, H * n + 3},
        values(std::max<int64_t>(B * time * (H * n + 3) - 3, 0), spread, seed) {
    heads.data = values.data();
  }
  T& operator()(int64_t b, int64_t h, int64_t t, int64_t j) {
    return values[b * heads.batch + h * heads.head + t * heads.time + j];
  }
  operator Heads<const T>() { return {heads.data, heads.batch, heads.head, heads.time}; }
  Heads<T> heads;
  Guarded<T> values;
};

/// A guarded [B, H, Tq, Tk] array without the dimensions whose bit `has` lacks.
template <class T>
struct PairArray {
  PairArray(const Options& o, int has, double spread = 0, uint32_t seed = 1)
      : B(has & 1 ? o.B : 1),
        H(has & 2 ? o.Hq : 1),
        Tq(has & 4 ? o.Tq : 1),
        Tk(has & 8 ? o.Tk : 1),
        values(B * H * Tq * Tk, spread, seed) {
    pairs = {values.data(), has & 1 ? H * Tq * Tk : 0, has & 2 ? Tq * Tk : 0, has & 4 ? Tk : 0,
             has & 8 ? 1 : 0};
  }
  T& operator()(int64_t b, int64_t h, int64_t i, int64_t j) {
    return values[b * pairs.batch + h * pairs.head + i * pairs.query + j * pairs.key];
  }
  operator Pairs<const T>() {
    return {pairs.data, pairs.batch, pairs.head, pairs.query, pairs.key};
  }
  int64_t B, H, Tq, Tk;
  Pairs<T> pairs;
  Guarded<T> values;
};

template <class T>
struct Problem {
  explicit Problem(const Options& options)
      : o(options),
        q(o.B, o.Hq, o.Tq, o.D, 1.5, 1),
        k(o.B, o.Hk, o.Tk, o.D, 1.5, 2),
        v(o.B, o.Hk, o.Tk, o.Dv, 1, 3),
        grad_out(o.B, o.Hq, o.Tq, o.Dv, 1, 4),
        bias(o, o.bias, 2, 5),
        keep(o, o.keep),
        key_lengths(o.B),
        query_lengths(o.B) {
    for (int64_t i = 0; i < keep.values.size(); ++i) keep.values[i] = i * 7 % 11 % 3 != 0;
    for (int64_t b = 0; b < o.B; ++b) {
      // The second sentence is empty; the first one claims more than there is.
      key_lengths[b] = static_cast<int32_t>(b == 1 ? 0 : b == 0 ? o.Tk + 3 : o.Tk - b);
      query_lengths[b] = static_cast<int32_t>(b == 0 ? o.Tq - 2 : o.Tq);
    }
    // Padding may hold anything.
    for (int64_t b = 0; b < o.B && o.key_lengths; ++b) {
      for (int64_t h = 0; h < o.Hk; ++h) {
        for (int64_t j = key_lengths[b]; j < o.Tk; ++j) {
          k(b, h, j, 0) = v(b, h, j, 0) = std::numeric_limits<T>::quiet_NaN();
        }
      }
    }
  }

  Attention<T> in() {
    Attention<T> a;
    a.batch = o.B;
    a.query_heads = o.Hq;
    a.key_heads = o.Hk;
    a.queries = o.Tq;
    a.keys = o.Tk;
    a.depth = o.D;
    a.value_depth = o.Dv;
    a.q = q;
    a.k = k;
    a.v = v;
    a.scale = T(scale);
    a.band_first = o.band_first;
    a.band_last = o.band_last;
    if (o.key_lengths) a.key_lengths = key_lengths.data();
    if (o.query_lengths) a.query_lengths = query_lengths.data();
    if (o.keep != 0) a.keep = keep;
    if (o.bias != 0) a.bias = bias;
    a.dropout = o.dropout;
    a.key0 = 11;
    a.key1 = 12;
    return a;
  }

  bool sees(int64_t b, int64_t h, int64_t i, int64_t j) {
    return reference::sees(in(), b, h, i, j);
  }

  /// One query's weights before dropout, [Tk], and the natural log of their sum.
  double weights(int64_t b, int64_t h, int64_t i, std::vector<double>& w) {
    w.resize(static_cast<size_t>(o.Tk));
    return reference::attention_weights(in(), b, h, i, w.data());
  }

  double out(int64_t b, int64_t h, int64_t i, int64_t d, const std::vector<double>& w) {
    return reference::attention(in(), b, h, i, d, w.data());
  }

  double loss() {
    double sum = 0;
    std::vector<double> w;
    for (int64_t b = 0; b < o.B; ++b) {
      for (int64_t h = 0; h < o.Hq; ++h) {
        for (int64_t i = 0; i < o.Tq; ++i) {
          weights(b, h, i, w);
          for (int64_t d = 0; d < o.Dv; ++d) {
            sum += out(b, h, i, d, w) * double(grad_out(b, h, i, d));
          }
        }
      }
    }
    return sum;
  }

  static constexpr double scale = 0.4;
  Options o;
  HeadArray<T> q, k, v, grad_out;
  PairArray<T> bias;
  PairArray<uint8_t> keep;
  Guarded<int32_t> key_lengths, query_lengths;
};

struct Gradients {
  template <class T>
  explicit Gradients(Problem<T>& p)
      : q(p.o.B, p.o.Hq, p.o.Tq, p.o.D),
        k(p.o.B, p.o.Hk, p.o.Tk, p.o.D),
        v(p.o.B, p.o.Hk, p.o.Tk, p.o.Dv),
        bias(p.o, p.o.bias) {
    for (Guarded<double>* g : {&q.values, &k.values, &v.values, &bias.values}) {
      for (int64_t i = 0; i < g->size(); ++i) (*g)[i] = 0;
    }
    const reference::AttentionGradients<double> to{q.heads, k.heads, v.heads, bias.pairs};
    const Options& o = p.o;
    std::vector<double> w;
    for (int64_t b = 0; b < o.B; ++b) {
      for (int64_t h = 0; h < o.Hq; ++h) {
        for (int64_t i = 0; i < o.Tq; ++i) {
          p.weights(b, h, i, w);
          reference::attention_gradient<T>(p.in(), p.grad_out, b, h, i, w.data(), to);
        }
      }
    }
  }

  HeadArray<double> q, k, v;
  PairArray<double> bias;
};

}  // namespace rapt::test
