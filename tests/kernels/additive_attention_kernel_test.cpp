// Additive attention against its reference, and its gradients against central differences of it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "ops/kernels/attention/additive_attention.hpp"
#include "ops/kernels/attention/reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using namespace rapt::kernels;
using rapt::test::Guarded;

namespace {

template <class T>
const AdditiveAttentionKernels<T>& table() {
  return kernels_for<AdditiveAttentionTable, T>();
}

struct Sizes {
  int64_t B, Tq, T, A, M;
  bool lengths, keep, time_major;
};

/// A guarded [B, time, n] array, or [time, B, n] with the same indices.
template <class T>
struct Array {
  Array(const Sizes& s, int64_t steps, int64_t width, double spread = 0, uint32_t seed = 1)
      : time(s.time_major ? s.B * width : width),
        batch(s.time_major ? width : steps * width),
        values(s.B * steps * width, spread, seed) {}
  T& operator()(int64_t b, int64_t t, int64_t j) { return values[b * batch + t * time + j]; }
  operator Sequences<T>() { return {values.data(), batch, time}; }
  operator Sequences<const T>() { return {values.data(), batch, time}; }
  int64_t time;
  int64_t batch;
  Guarded<T> values;
};

template <class T>
struct Problem {
  Problem(const Sizes& sizes, uint32_t seed)
      : s(sizes),
        query(s, s.Tq, s.A, 1.5, seed),
        key(s, s.T, s.A, 1.5, seed + 1),
        memory(s, s.T, s.M, 1, seed + 2),
        grad_context(s, s.Tq, s.M, 1, seed + 3),
        grad_weights(s, s.Tq, s.T, 1, seed + 4),
        v(s.A, 1, seed + 5),
        lengths(s.B),
        keep(s, s.T, 1) {
    for (int64_t b = 0; b < s.B; ++b) {
      // Sentence 1 has no key at all; one length lies beyond the keys.
      lengths[b] = static_cast<int32_t>(b == 1 ? 0 : b == 0 ? s.T + 2 : s.T - b);
      for (int64_t t = 0; t < s.T; ++t) {
        keep(b, t, 0) = (b * 5 + t * 3) % 4 != 0;
        if (seen(b, t)) continue;
        // What is not seen must not be read.
        for (int64_t j = 0; j < s.A; ++j) key(b, t, j) = std::numeric_limits<T>::quiet_NaN();
        for (int64_t j = 0; j < s.M; ++j) memory(b, t, j) = std::numeric_limits<T>::quiet_NaN();
      }
    }
  }

  bool seen(int64_t b, int64_t t) {
    return (!s.lengths || t < lengths[b]) && (!s.keep || keep(b, t, 0) != 0);
  }

  AdditiveAttention<T> in() {
    AdditiveAttention<T> a{s.B, s.Tq, s.T, s.A, s.M, query, key, v.data(), memory, nullptr, {}, {}};
    if (s.lengths) a.lengths = lengths.data();
    if (s.keep) a.keep = {keep.values.data(), keep.batch, 0, keep.time};
    return a;
  }

  /// The weights of one query, [T].
  std::vector<double> weights(int64_t b, int64_t q) {
    std::vector<double> w(static_cast<size_t>(s.T));
    reference::additive_weights(in(), b, q, w.data());
    return w;
  }

  double context(const std::vector<double>& w, int64_t b, int64_t m) {
    return reference::additive_context(in(), b, m, w.data());
  }

  /// What the gradients below are gradients of.
  double loss() {
    double sum = 0;
    for (int64_t b = 0; b < s.B; ++b) {
      for (int64_t q = 0; q < s.Tq; ++q) {
        const std::vector<double> w = weights(b, q);
        for (int64_t t = 0; t < s.T; ++t) {
          sum += w[static_cast<size_t>(t)] * double(grad_weights(b, q, t));
        }
        for (int64_t m = 0; m < s.M; ++m) sum += context(w, b, m) * double(grad_context(b, q, m));
      }
    }
    return sum;
  }

  Sizes s;
  Array<T> query, key, memory, grad_context, grad_weights;
  Guarded<T> v;
  Guarded<int32_t> lengths;
  Array<uint8_t> keep;
};

const Sizes all_sizes[] = {
    {3, 1, 7, 5, 9, false, false, false},  {3, 1, 7, 5, 9, true, false, false},
    {3, 2, 19, 16, 33, false, true, true}, {4, 3, 9, 17, 8, true, true, false},
    {3, 1, 6, 8, 1, true, true, true},     {1, 1, 1, 1, 1, false, false, false},
    {2, 1, 33, 40, 16, true, false, true},
};

}  // namespace

// Sums of up to 40 products near 1, then exp: float rounding times some tens.
TEMPLATE_TEST_CASE("additive attention matches its definition", "", float, double) {
  using T = TestType;
  const double close = sizeof(T) == 4 ? 1e-5 : 1e-13;
  for (const Sizes& s : all_sizes) {
    INFO("B=" << s.B << " Tq=" << s.Tq << " T=" << s.T << " A=" << s.A << " M=" << s.M);
    Problem<T> p(s, 3);
    Array<T> weights(s, s.Tq, s.T), context(s, s.Tq, s.M);
    table<T>().forward({p.in(), weights, context}, 0, s.B * s.Tq);
    for (int64_t b = 0; b < s.B; ++b) {
      for (int64_t q = 0; q < s.Tq; ++q) {
        const std::vector<double> w = p.weights(b, q);
        for (int64_t t = 0; t < s.T; ++t) {
          if (!p.seen(b, t)) REQUIRE(weights(b, q, t) == 0);
          REQUIRE(std::abs(weights(b, q, t) - w[static_cast<size_t>(t)]) < close);
        }
        for (int64_t m = 0; m < s.M; ++m) {
          REQUIRE(std::abs(context(b, q, m) - p.context(w, b, m)) < close);
        }
      }
    }
  }
}

TEST_CASE("additive attention's gradients are the slopes of its definition") {
  // Truncation and rounding of the central difference, both near 1e-9, and sums of some tens.
  const double step = 1e-5;
  const double close = 1e-7;
  for (const Sizes& s : all_sizes) {
    INFO("B=" << s.B << " Tq=" << s.Tq << " T=" << s.T << " A=" << s.A << " M=" << s.M);
    Problem<double> p(s, 3);
    Array<double> weights(s, s.Tq, s.T), context(s, s.Tq, s.M), grad_query(s, s.Tq, s.A),
        grad_key(s, s.T, s.A), grad_memory(s, s.T, s.M);
    Guarded<double> parts(s.B * s.A), grad_v(s.A), scratch(s.T);
    table<double>().forward({p.in(), weights, context}, 0, s.B * s.Tq);
    table<double>().backward({p.in(), weights, p.grad_context, p.grad_weights, grad_query, grad_key,
                              grad_memory, parts.data()},
                             0, s.B, scratch.data());
    table<double>().sum_parts(parts.data(), s.B, s.A, grad_v.data(), false, 0, s.A / 2);
    table<double>().sum_parts(parts.data(), s.B, s.A, grad_v.data(), false, s.A / 2, s.A);
    const auto check = [&](double& at, double found) {
      const double center = at;
      at = center + step;
      const double above = p.loss();
      at = center - step;
      const double below = p.loss();
      at = center;
      REQUIRE(std::abs(found - (above - below) / (2 * step)) < close);
    };
    for (int64_t j = 0; j < s.A; ++j) check(p.v[j], grad_v[j]);
    for (int64_t b = 0; b < s.B; ++b) {
      for (int64_t q = 0; q < s.Tq; ++q) {
        for (int64_t j = 0; j < s.A; ++j) check(p.query(b, q, j), grad_query(b, q, j));
      }
      for (int64_t t = 0; t < s.T; ++t) {
        for (int64_t j = 0; j < s.A; ++j) {
          if (p.seen(b, t)) {
            check(p.key(b, t, j), grad_key(b, t, j));
          } else {
            REQUIRE(grad_key(b, t, j) == 0);
          }
        }
        for (int64_t m = 0; m < s.M; ++m) {
          if (p.seen(b, t)) {
            check(p.memory(b, t, m), grad_memory(b, t, m));
          } else {
            REQUIRE(grad_memory(b, t, m) == 0);
          }
        }
      }
    }
  }
}

TEST_CASE("additive attention in float agrees with double, forward and backward, and may add") {
  const Sizes s{4, 3, 21, 37, 19, true, true, false};
  Problem<float> p(s, 3);
  Problem<double> d(s, 3);
  for (auto [from, to] :
       {std::pair(&p.query, &d.query), std::pair(&p.key, &d.key), std::pair(&p.memory, &d.memory),
        std::pair(&p.grad_context, &d.grad_context)}) {
    for (int64_t i = 0; i < from->values.size(); ++i) to->values[i] = from->values[i];
  }
  for (int64_t j = 0; j < s.A; ++j) d.v[j] = p.v[j];
  Array<float> weights(s, s.Tq, s.T), grad_query(s, s.Tq, s.A), grad_key(s, s.T, s.A, 1, 8),
      grad_memory(s, s.T, s.M, 1, 9), before_key(s, s.T, s.A, 1, 8),
      before_memory(s, s.T, s.M, 1, 9);
  Array<double> weights_d(s, s.Tq, s.T), grad_query_d(s, s.Tq, s.A), grad_key_d(s, s.T, s.A),
      grad_memory_d(s, s.T, s.M);
  Guarded<float> parts(s.B * s.A, 1, 4), before_parts(s.B * s.A, 1, 4), scratch(s.T);
  Guarded<double> parts_d(s.B * s.A), scratch_d(s.T);
  table<float>().forward({p.in(), weights, {}}, 0, s.B * s.Tq);
  table<double>().forward({d.in(), weights_d, {}}, 0, s.B * s.Tq);
  table<float>().backward({p.in(),
                           weights,
                           p.grad_context,
                           {},
                           grad_query,
                           grad_key,
                           grad_memory,
                           parts.data(),
                           true,
                           true,
                           true},
                          0, s.B, scratch.data());
  table<double>().backward({d.in(),
                            weights_d,
                            d.grad_context,
                            {},
                            grad_query_d,
                            grad_key_d,
                            grad_memory_d,
                            parts_d.data()},
                           0, s.B, scratch_d.data());
  const double close = 1e-5;  // Sums of some tens of terms near 1, in float.
  const auto check = [&](Guarded<float>& found, Guarded<float>* before, Guarded<double>& expected) {
    for (int64_t i = 0; i < found.size(); ++i) {
      const double base = before == nullptr ? 0 : double((*before)[i]);
      REQUIRE(std::abs(double(found[i]) - base - expected[i]) < close);
    }
  };
  check(grad_query.values, nullptr, grad_query_d.values);
  check(grad_key.values, &before_key.values, grad_key_d.values);
  check(grad_memory.values, &before_memory.values, grad_memory_d.values);
  check(parts, &before_parts, parts_d);
}

TEMPLATE_TEST_CASE("additive attention gives the same bits for any split", "", float, double) {
  using T = TestType;
  const Sizes s{3, 2, 13, 21, 11, true, false, false};
  Problem<T> p(s, 3);
  Guarded<T> scratch(s.T);
  const auto run = [&](bool split) {
    Array<T> weights(s, s.Tq, s.T), context(s, s.Tq, s.M), grad_query(s, s.Tq, s.A),
        grad_key(s, s.T, s.A), grad_memory(s, s.T, s.M);
    Guarded<T> parts(s.B * s.A);
    const int64_t rows = s.B * s.Tq;
    const AdditiveForward<T> forward{p.in(), weights, context};
    const AdditiveBackward<T> backward{p.in(),     weights,  p.grad_context, {},
                                       grad_query, grad_key, grad_memory,    parts.data()};
    for (int64_t i = rows - 1; split && i >= 0; --i) table<T>().forward(forward, i, i + 1);
    if (!split) table<T>().forward(forward, 0, rows);
    for (int64_t b = s.B - 1; split && b >= 0; --b) {
      table<T>().backward(backward, b, b + 1, scratch.data());
    }
    if (!split) table<T>().backward(backward, 0, s.B, scratch.data());
    std::vector<T> all;
    for (Guarded<T>* g : {&weights.values, &context.values, &grad_query.values, &grad_key.values,
                          &grad_memory.values, &parts}) {
      all.insert(all.end(), g->data(), g->data() + g->size());
    }
    return all;
  };
  const std::vector<T> whole = run(false);
  const std::vector<T> split = run(true);
  REQUIRE(std::memcmp(whole.data(), split.data(), whole.size() * sizeof(T)) == 0);
}

TEST_CASE("additive attention of nothing does nothing") {
  const Sizes s{2, 1, 0, 5, 6, false, false, false};
  Problem<float> p(s, 3);
  Array<float> weights(s, 1, 0), context(s, 1, s.M), grad_query(s, 1, s.A);
  Guarded<float> parts(s.B * s.A);
  table<float>().forward({p.in(), weights, context}, 0, 2);
  table<float>().backward({p.in(), weights, p.grad_context, {}, grad_query, {}, {}, parts.data()},
                          0, 2, nullptr);
  for (int64_t i = 0; i < context.values.size(); ++i) REQUIRE(context.values[i] == 0);
  for (int64_t i = 0; i < grad_query.values.size(); ++i) REQUIRE(grad_query.values[i] == 0);
  for (int64_t i = 0; i < parts.size(); ++i) REQUIRE(parts[i] == 0);
}
