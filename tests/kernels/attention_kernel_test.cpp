// Fused attention against its reference, whose gradients are themselves checked against central
// differences.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "ops/kernels/attention/attention.hpp"
#include "tests/kernels/attention_problem.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using namespace rapt::kernels;
using namespace rapt::test;

namespace {

/// Uninitialised memory of exactly so many bytes, aligned to 64, then a guard page.
struct Area {
  explicit Area(size_t bytes) : memory(static_cast<int64_t>((bytes + 63) / 64 * 64)) {
    std::memset(memory.data(), 0xff, static_cast<size_t>(memory.size()));  // NaN
  }
  void* data() { return memory.data(); }
  Guarded<uint8_t> memory;
};

template <class T>
struct Results {
  explicit Results(Problem<T>& p, bool reversed = false)
      : out(p.o.B, p.o.Hq, p.o.Tq, p.o.Dv),
        largest(p.o.B * p.o.Hq * p.o.Tq),
        log_sum(p.o.B * p.o.Hq * p.o.Tq),
        weights(p.o, 15),
        q(p.o.B, p.o.Hq, p.o.Tq, p.o.D),
        k(p.o.B, p.o.Hk, p.o.Tk, p.o.D),
        v(p.o.B, p.o.Hk, p.o.Tk, p.o.Dv),
        bias(p.o, p.o.bias) {
    const auto each = [&](int64_t n, auto&& body) {
      for (int64_t i = 0; i < n; ++i) body(reversed ? n - 1 - i : i);
    };
    const AttentionKernels<T>& f = kernels_for<AttentionTable, T>();
    const AttentionPlan plan = f.plan_forward(p.in());
    Area scratch(plan.scratch_bytes);
    each(plan.tasks, [&](int64_t task) {
      f.forward({p.in(), out.heads, {largest.data(), log_sum.data()}}, plan, scratch.data(), task);
    });
    AttentionWeights<T> looked;
    looked.in = p.in();
    looked.rows = {largest.data(), log_sum.data()};
    looked.weights = weights.pairs;
    looked.heads = p.o.Hq;
    const AttentionPlan looks = f.plan_weights(looked);
    Area look_scratch(looks.scratch_bytes);
    each(looks.tasks, [&](int64_t task) { f.weights(looked, looks, look_scratch.data(), task); });
    const AttentionBackwardKernels<T>& r = kernels_for<AttentionBackwardTable, T>();
    AttentionBackward<T> backward{
        p.in(), out, {largest.data(), log_sum.data()}, p.grad_out, q.heads, k.heads, v.heads, {}};
    if (p.o.bias != 0) backward.grad_bias = bias.pairs;
    const AttentionPlan back = r.plan(backward);
    Area own(back.scratch_bytes), shared(back.workspace_bytes);
    REQUIRE((back.bias_tasks > 0) == (p.o.bias != 0 && p.o.B * p.o.Tq * p.o.Tk > 0));
    each(back.tasks, [&](int64_t t) { r.run(backward, back, shared.data(), own.data(), t); });
    each(back.combine_tasks, [&](int64_t t) { r.combine(backward, back, shared.data(), t); });
    each(back.bias_tasks, [&](int64_t t) { r.bias(backward, back, own.data(), t); });
    split = back.workspace_bytes > 0;
  }

  HeadArray<T> out;
  Guarded<T> largest, log_sum;
  PairArray<T> weights;
  HeadArray<T> q, k, v;
  PairArray<T> bias;
  bool split = false;
};

/// What stands at places where nothing is seen must be zero exactly.
template <class T, class Seen>
void check_heads(const char* what, HeadArray<T>& found, HeadArray<double>& expected, int64_t B,
                 int64_t H, int64_t time, int64_t n, double close, const Seen& seen) {
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t h = 0; h < H; ++h) {
      for (int64_t t = 0; t < time; ++t) {
        const bool any = seen(b, h, t);
        for (int64_t j = 0; j < n; ++j) {
          const double a = found(b, h, t, j), e = expected(b, h, t, j);
          if (any ? std::abs(a - e) < close : a == 0) continue;
          FAIL(what << " at " << b << " " << h << " " << t << " " << j << ": " << a << ", not "
                    << e);
        }
      }
    }
  }
}

/// Errors grow with the number of terms, here up to some hundreds of size near 1, and with the
/// scores' size, up to about 10, through exp.
template <class T>
void check(const Options& o) {
  INFO(describe(o));
  Problem<T> p(o);
  Results<T> r(p);
  const double close = sizeof(T) == 4 ? 3e-5 : 1e-12;
  std::vector<double> w;
  for (int64_t b = 0; b < o.B; ++b) {
    for (int64_t h = 0; h < o.Hq; ++h) {
      for (int64_t i = 0; i < o.Tq; ++i) {
        INFO("at " << b << " " << h << " " << i);
        const double lse = p.weights(b, h, i, w);
        const int64_t row = (b * o.Hq + h) * o.Tq + i;
        const double largest = r.largest[row], log_sum = r.log_sum[row];
        if (lse == infinity) {
          REQUIRE(largest == 0);
          REQUIRE(log_sum == 0);
        } else {
          REQUIRE(std::abs(largest + log_sum * std::log(2.0) - lse) < close);
        }
        for (int64_t j = 0; j < o.Tk; ++j) {
          if (w[size_t(j)] == 0 && r.weights(b, h, i, j) != 0) FAIL("weight of a hidden key");
          if (!(std::abs(r.weights(b, h, i, j) - w[size_t(j)]) < close)) FAIL("weight " << j);
        }
        for (int64_t d = 0; d < o.Dv; ++d) {
          const double a = r.out(b, h, i, d), e = p.out(b, h, i, d, w);
          if (lse == infinity) REQUIRE(a == 0);
          if (!(std::abs(a - e) < close)) FAIL("output " << d << ": " << a << ", not " << e);
        }
      }
    }
  }
  Gradients expected(p);
  const auto query_sees = [&](int64_t b, int64_t h, int64_t i) {
    for (int64_t j = 0; j < o.Tk; ++j) {
      if (p.sees(b, h, i, j)) return true;
    }
    return false;
  };
  const auto key_seen = [&](int64_t b, int64_t g, int64_t j) {
    const int64_t group = o.Hq / o.Hk;
    for (int64_t i = 0; i < o.Tq * group; ++i) {
      if (p.sees(b, g * group + i % group, i / group, j)) return true;
    }
    return false;
  };
  check_heads("grad q", r.q, expected.q, o.B, o.Hq, o.Tq, o.D, close, query_sees);
  check_heads("grad k", r.k, expected.k, o.B, o.Hk, o.Tk, o.D, close, key_seen);
  check_heads("grad v", r.v, expected.v, o.B, o.Hk, o.Tk, o.Dv, close, key_seen);
  for (int64_t i = 0; o.bias != 0 && i < r.bias.values.size(); ++i) {
    const double a = r.bias.values[i], e = expected.bias.values[i];
    if (!(std::abs(a - e) < close)) FAIL("grad bias " << i << ": " << a << ", not " << e);
  }
}

}  // namespace

TEST_CASE("the reference's gradients are its slopes") {
  Options o;
  o.Hk = 1;
  o.key_lengths = o.query_lengths = true;
  o.keep = 12;
  o.bias = 10;
  o.dropout = 0.3;
  o.band_last = 3;
  Problem<double> p(o);
  Gradients expected(p);
  const double step = 1e-5;
  const auto compare = [&](Guarded<double>& at, Guarded<double>& found) {
    for (int64_t i = 0; i < at.size(); ++i) {
      const double center = at[i];
      at[i] = center + step;
      const double above = p.loss();
      at[i] = center - step;
      const double below = p.loss();
      at[i] = center;
      REQUIRE(std::abs(found[i] - (above - below) / (2 * step)) < 1e-8);  // Near its own error.
    }
  };
  o.key_lengths = false;
  compare(p.q.values, expected.q.values);
  compare(p.k.values, expected.k.values);
  compare(p.v.values, expected.v.values);
  compare(p.bias.values, expected.bias.values);
}

TEMPLATE_TEST_CASE("attention of odd sizes", "", float, double) {
  for (const int64_t Tq : {1, 4, 5, 13, 70}) {
    for (const int64_t Tk : {1, 16, 37}) {
      for (const int64_t D : {1, 8, 19, 33}) {
        for (const int64_t Dv : {5, 32}) {
          Options o;
          o.B = 1;
          o.Tq = Tq;
          o.Tk = Tk;
          o.D = D;
          o.Dv = Dv;
          check<TestType>(o);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("attention over several tiles", "", float, double) {
  Options o;
  o.B = 1;
  o.D = 24;
  o.Dv = 16;
  for (const int64_t Tk : {256, 530}) {
    o.Tq = 330;
    o.Tk = Tk;
    o.band_last = unlimited;
    check<TestType>(o);
    o.band_last = Tk - o.Tq;
    check<TestType>(o);
    o.band_first = -80;
    check<TestType>(o);
    o.band_first = -unlimited;
  }
  o.Tq = 3;  // Few queries read keys and values in place.
  o.Tk = 600;
  o.band_last = 300;
  o.bias = 15;
  check<TestType>(o);
}

TEMPLATE_TEST_CASE("every kind of mask, alone and with others", "", float, double) {
  for (int kind = 0; kind < 16; ++kind) {
    for (const int64_t Tq : {3, 19}) {
      Options o;
      o.B = 3;
      o.Tq = Tq;
      o.Tk = 23;
      o.D = 17;
      o.key_lengths = kind & 1;
      o.query_lengths = kind & 2;
      o.keep = kind & 4 ? 15 : 0;
      o.band_last = kind & 8 ? 2 : unlimited;
      check<TestType>(o);
      o.dropout = 0.25;
      o.bias = 10;
      check<TestType>(o);
    }
  }
}

TEMPLATE_TEST_CASE("causal anchors and windows", "", float, double) {
  for (const int64_t last : {-30, -3, 0, 5, 90}) {
    for (const int64_t width : {int64_t(1), int64_t(4), int64_t(40), unlimited}) {
      for (const int64_t Tq : {4, 67}) {
        Options o;
        o.B = 1;
        o.Tq = Tq;
        o.Tk = 41;
        o.D = 16;
        o.Dv = 7;
        o.band_last = last;
        if (width != unlimited) o.band_first = last - width + 1;
        check<TestType>(o);
      }
    }
  }
}

TEMPLATE_TEST_CASE("broadcast masks and biases, with the bias' gradient", "", float, double) {
  for (int has = 1; has < 16; ++has) {
    Options o;
    o.Tq = 9;
    o.Tk = 21;
    o.keep = has;
    o.bias = 16 - has;
    check<TestType>(o);
  }
  for (const int has : {1, 6, 8, 14}) {  // Sums over several tiles.
    Options o;
    o.Tq = 130;
    o.Tk = 300;
    o.bias = has;
    o.band_last = 100;
    o.key_lengths = true;
    check<TestType>(o);
  }
}

TEMPLATE_TEST_CASE("grouped heads", "", float, double) {
  for (const int64_t Hk : {1, 2, 6}) {
    Options o;
    o.Hq = 6;
    o.Hk = Hk;
    o.Tq = 11;
    o.Tk = 18;
    o.bias = 15;
    o.dropout = 0.5;
    check<TestType>(o);
  }
}

TEMPLATE_TEST_CASE("dropout of everything and of nothing", "", float, double) {
  Options o;
  o.Tq = 6;
  Problem<TestType> p(o);
  p.o.dropout = 1;
  Results<TestType> r(p);
  for (int64_t d = 0; d < o.Dv; ++d) {
    REQUIRE(r.out(1, 1, 5, d) == 0);
    REQUIRE(r.v(1, 1, 5, d) == 0);
  }
  for (int64_t d = 0; d < o.D; ++d) REQUIRE(r.q(1, 1, 5, d) == 0);
}

TEMPLATE_TEST_CASE("a bias of -inf hides, even all keys", "", float, double) {
  using T = TestType;
  for (const int64_t Tq : {3, 9}) {
    Options o;
    o.Tq = Tq;
    o.bias = 12;
    Problem<T> p(o);
    for (int64_t j = 0; j < o.Tk; ++j) {
      p.bias(0, 0, 1, j) = -std::numeric_limits<T>::infinity();
      if (j > 2) p.bias(0, 0, 2, j) = -std::numeric_limits<T>::infinity();
    }
    Results<T> r(p);
    for (int64_t d = 0; d < o.Dv; ++d) REQUIRE(r.out(0, 1, 1, d) == 0);
    for (int64_t d = 0; d < o.D; ++d) REQUIRE(r.q(0, 1, 1, d) == 0);
    for (int64_t j = 0; j < o.Tk; ++j) {
      REQUIRE(r.weights(0, 1, 1, j) == 0);
      REQUIRE(r.bias(0, 0, 1, j) == 0);
      REQUIRE((r.weights(0, 1, 2, j) > 0) == (j <= 2));
    }
    for (int64_t i = 0; i < r.k.values.size() && i < o.D; ++i)
      REQUIRE(std::isfinite(r.k.values[i]));
  }
}

TEST_CASE("a NaN in a query or a value is handed on") {
  Options o;
  o.Tq = 8;
  Problem<float> p(o);
  p.q(0, 1, 3, 0) = std::numeric_limits<float>::quiet_NaN();
  p.v(1, 0, 2, 1) = std::numeric_limits<float>::quiet_NaN();
  Results<float> r(p);
  REQUIRE(std::isnan(r.out(0, 1, 3, 0)));
  REQUIRE(std::isnan(r.out(1, 0, 0, 1)));
  REQUIRE(!std::isnan(r.out(0, 1, 2, 0)));
}

TEST_CASE("large scores neither overflow nor lose their order") {
  Options o;
  o.Tq = 7;
  Problem<float> p(o);
  for (int64_t i = 0; i < p.q.values.size(); ++i) p.q.values[i] *= 1e4f;
  Results<float> r(p);
  std::vector<double> w;
  for (int64_t i = 0; i < o.Tq; ++i) {
    p.weights(0, 0, i, w);
    // Scores near 1e4 carry float errors near 1e-3.
    for (int64_t j = 0; j < o.Tk; ++j)
      REQUIRE(std::abs(r.weights(0, 0, i, j) - w[size_t(j)]) < 0.02);
  }
}

TEMPLATE_TEST_CASE("attention's tasks may run in any order", "", float, double) {
  Options o;
  o.B = 2;
  o.Tq = 300;
  o.Tk = 600;
  o.D = 16;
  o.bias = 12;
  o.band_last = 310;
  Problem<TestType> p(o);
  Results<TestType> a(p), b(p, true);
  REQUIRE(a.split);
  const auto same = [](Guarded<TestType>& x, Guarded<TestType>& y) {
    return std::memcmp(x.data(), y.data(), static_cast<size_t>(x.size()) * sizeof(TestType)) == 0;
  };
  REQUIRE(same(a.out.values, b.out.values));
  REQUIRE(same(a.largest, b.largest));
  REQUIRE(same(a.log_sum, b.log_sum));
  REQUIRE(same(a.weights.values, b.weights.values));
  REQUIRE(same(a.q.values, b.q.values));
  REQUIRE(same(a.k.values, b.k.values));
  REQUIRE(same(a.v.values, b.v.values));
  REQUIRE(same(a.bias.values, b.bias.values));
}

TEMPLATE_TEST_CASE("attention of nothing", "", float, double) {
  for (const int empty : {0, 1, 2}) {
    Options o;
    (empty == 0 ? o.B : empty == 1 ? o.Tq : o.Tk) = 0;
    check<TestType>(o);
  }
}
