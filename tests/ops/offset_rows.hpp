// Rows of scores with a common offset, and what softmax makes of them in long double: the scores
// are taken as they are once the offset has been added and rounded.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "framework/graph/tape.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt::test {

using Exact = long double;

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T>
constexpr double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());

template <class T>
constexpr DType type_of = sizeof(T) == 4 ? DType::float32 : DType::float64;

inline std::vector<double> values_of(const Var& x) {
  return contiguous(x).value().to_vector<double>();
}

/// The last two are the largest that a score of 2 does not make infinite: it is rounded away.
template <class T>
std::vector<T> offsets() {
  constexpr T largest = std::numeric_limits<T>::max();
  return {0, 100, 1000, T(1e4), T(1e6), T(1e8), T(-1e4), T(-1e9), largest, -largest};
}

/// Some multiple of 1/4 between -2 and 2: sums with offsets up to a million are exact in float.
template <class T>
T small(int64_t i, int64_t j) {
  return T((i * 7919 + j * 104729 + i * j * 31) % 17 - 8) / T(4);
}

/// Some number between -1 and 1.
template <class T>
std::vector<T> some(int64_t n, int seed) {
  std::vector<T> result(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    result[static_cast<size_t>(i)] = T(std::cos(0.7 * double(i * i) + 1.3 * seed + double(i)));
  }
  return result;
}

/// The softmax of one row; zeros for a row of nothing but -inf.
struct SoftmaxRow {
  std::vector<Exact> p, log_p;
  Exact largest = -INFINITY, log_sum = -INFINITY;

  template <class T>
  SoftmaxRow(const T* x, int64_t n)
      : p(static_cast<size_t>(n), 0), log_p(static_cast<size_t>(n), -INFINITY) {
    for (int64_t j = 0; j < n; ++j) largest = std::max(largest, Exact(x[j]));
    if (largest == -INFINITY) return;
    Exact sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += std::exp(Exact(x[j]) - largest);
    log_sum = std::log(sum);
    for (size_t j = 0; j < p.size(); ++j) {
      log_p[j] = (Exact(x[j]) - largest) - log_sum;
      p[j] = std::exp(log_p[j]);
    }
  }

  bool none() const { return largest == -INFINITY; }

  template <class V>
  Exact mean(const V& values) const {
    Exact sum = 0;
    for (size_t j = 0; j < p.size(); ++j) sum += p[j] == 0 ? 0 : p[j] * Exact(values[j]);
    return sum;
  }

  /// Of sum g p by the scores.
  template <class V>
  std::vector<Exact> first(const V& g) const {
    std::vector<Exact> d(p.size(), 0);
    const Exact of_g = mean(g);
    for (size_t j = 0; j < p.size(); ++j) {
      if (p[j] != 0) d[j] = p[j] * (Exact(g[j]) - of_g);
    }
    return d;
  }

  /// Of u . first(g) by the scores.
  template <class V>
  std::vector<Exact> second(const V& g, const V& u) const {
    const std::vector<Exact> d = first(g);
    const Exact of_g = mean(g), of_u = mean(u);
    Exact dot = 0;
    for (size_t j = 0; j < p.size(); ++j) dot += d[j] * Exact(u[j]);
    std::vector<Exact> result(p.size(), 0);
    for (size_t j = 0; j < p.size(); ++j) {
      if (p[j] == 0) continue;
      const Exact centred = Exact(g[j]) - of_g;
      result[j] = p[j] * (Exact(u[j]) * centred - dot - of_u * centred);
    }
    return result;
  }
};

/// Sees that what was found differs from what is right by at most `close` and as much of its size;
/// infinities have to be the same.
inline void check_near(const std::string& what, const std::vector<double>& found,
                       const std::vector<Exact>& right, double close) {
  INFO(what);
  REQUIRE(found.size() == right.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const auto e = static_cast<double>(right[i]);
    if (std::isinf(e) ? found[i] == e : std::abs(found[i] - e) <= close * (1 + std::abs(e))) {
      continue;
    }
    FAIL_CHECK(what << ", element " << i << ": " << found[i] << ", not " << e);
    return;
  }
}

/// A value's gradients in a direction: of sum g y by x, and of sum u of that by x.
struct Derivatives {
  Var first, second;

  Derivatives(const Var& y, const Var& g, const Var& x, const Var& u)
      : first(grad(sum(y * g), {x})[0]), second(grad(sum(first * u), {x})[0]) {}
};

}  // namespace rapt::test
