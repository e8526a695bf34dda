// Attention of queries, keys and values, with every kind of score and mask, under any common offset
// of its scores, the largest numbers included: values, weights, gradients and second derivatives
// against closed forms in long double.
#include <functional>

#include "framework/core/random.hpp"
#include "framework/run/executor.hpp"
#include "models/layers/multi_head.hpp"
#include "models/layers/probe.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/attention/cached_attention.hpp"
#include "ops/products/matmul.hpp"
#include "ops/shape/shape.hpp"
#include "tests/ops/offset_rows.hpp"

namespace rapt::test {
namespace {

constexpr int64_t depth = 2, value_depth = 3;

struct Sizes {
  int64_t queries, keys;
};

/// Few queries read keys in place; many need several tiles of queries and keys.
const std::vector<Sizes> sizes{{2, 5}, {4, 70}, {9, 70}, {70, 300}};

/// A head for each offset, of one sentence: queries and keys whose products, and the scores before
/// an offset, are multiples of 1/4 up to 2, exact in T.
template <class T>
struct Problem {
  int64_t H = int64_t(offsets<T>().size()), Tq, Tk;
  std::vector<T> q, k, v, x;  // x [H, Tq, Tk]: the scores as they are with the offset
  std::vector<bool> seen;     // [H, Tq, Tk]

  explicit Problem(Sizes n) : Tq(n.queries), Tk(n.keys) {
    for (int64_t i = 0; i < H * Tq * depth; ++i) q.push_back(T((i * 7) % 5 - 2) / 2);
    for (int64_t i = 0; i < H * Tk * depth; ++i) k.push_back(T((i * i * 3) % 7 - 3) / 2);
    v = some<T>(H * Tk * value_depth, 1);
    seen.assign(size_t(H * Tq * Tk), true);
    for (int64_t h = 0; h < H; ++h) {
      for (int64_t i = 0; i < Tq; ++i) {
        for (int64_t j = 0; j < Tk; ++j) {
          x.push_back(T(product(h, i, j) + offsets<T>()[size_t(h)]));
        }
      }
    }
  }

  size_t at(int64_t h, int64_t i, int64_t j) const { return size_t((h * Tq + i) * Tk + j); }
  T product(int64_t h, int64_t i, int64_t j) const {
    T sum = 0;
    for (int64_t d = 0; d < depth; ++d) {
      sum += q[size_t((h * Tq + i) * depth + d)] * k[size_t((h * Tk + j) * depth + d)];
    }
    return sum;
  }

  /// Adds what differs from pair to pair to the scores before the offset.
  template <class F>
  void add(const F& f) {
    for (int64_t h = 0; h < H; ++h) {
      for (int64_t i = 0; i < Tq; ++i) {
        for (int64_t j = 0; j < Tk; ++j) x[at(h, i, j)] = f(h, i, j);
      }
    }
  }
  template <class F>
  void hide(const F& hidden) {
    for (int64_t h = 0; h < H; ++h) {
      for (int64_t i = 0; i < Tq; ++i) {
        for (int64_t j = 0; j < Tk; ++j) {
          if (!hidden(h, i, j)) continue;
          x[at(h, i, j)] = T(-INFINITY);
          seen[at(h, i, j)] = false;
        }
      }
    }
  }

  std::vector<SoftmaxRow> rows() const {
    std::vector<SoftmaxRow> result;
    for (int64_t i = 0; i < H * Tq; ++i) result.emplace_back(&x[size_t(i * Tk)], Tk);
    return result;
  }
};

/// What a kind of attention makes of a problem: how the offset, and what is hidden, get in.
struct Made {
  AttentionOptions options;
  Var scores;  // what the gradient of the scores is read from, or of what is broadcast to them
};
template <class T>
struct KindOf {
  std::string name;
  std::function<Made(Problem<T>&)> make;
};

/// The offsets as a bias for each pair: with what is hidden -inf.
template <class T>
Var bias_of(const Problem<T>& p) {
  std::vector<T> bias;
  for (int64_t h = 0; h < p.H; ++h) {
    for (int64_t i = 0; i < p.Tq * p.Tk; ++i) {
      const bool seen = p.seen[size_t(h * p.Tq * p.Tk + i)];
      bias.push_back(seen ? offsets<T>()[size_t(h)] : T(-INFINITY));
    }
  }
  return as_var(tensor(bias, {1, p.H, p.Tq, p.Tk}));
}

template <class T>
Var heads_of(const std::vector<T>& x) {
  return as_var(tensor(x, {1, int64_t(x.size()), 1, 1}));
}

template <class T>
Made biased(Problem<T>& p, Mask mask = {}) {
  Made made;
  made.scores = bias_of(p);
  made.options = {.mask = std::move(mask), .scale = 1, .bias = made.scores};
  return made;
}

template <class T>
std::vector<KindOf<T>> kinds() {
  using P = Problem<T>;
  const auto mask_of = [](P& p, const Mask& mask, auto hidden) {
    const Made made = biased(p, mask);  // before anything is hidden: the mask alone hides
    p.hide(hidden);
    return made;
  };
  return {
      {"a bias", [](P& p) { return biased(p); }},
      {"a bias of each head",
       [](P&) {
         Made made;
         made.scores = heads_of(offsets<T>());
         made.options = {.scale = 1, .bias = made.scores};
         return made;
       }},
      {"a bias of -inf for some keys, and for all of a query",
       [](P& p) {
         p.hide([](int64_t h, int64_t i, int64_t j) { return i == 1 || (i + j + h) % 3 == 0; });
         return biased(p);
       }},
      {"an additive mask",
       [](P& p) {
         Made made;
         made.scores = bias_of(p);
         made.options = {.mask = additive(made.scores), .scale = 1};
         return made;
       }},
      {"a score function",
       [](P& p) {
         Made made;
         made.scores = heads_of(offsets<T>());
         const Var shift = reshape(made.scores, {p.H});
         made.options = {.scale = 1, .score = [shift](Score s) { return s.value + shift[s.head]; }};
         return made;
       }},
      {"a score function of places, and a bias",
       [](P& p) {
         Made made = biased(p);
         made.options.score = [](Score s) { return s.value * 0.5 + (s.key - s.query) * 0.25; };
         const int64_t last = p.Tk - p.Tq;
         p.add([&](int64_t h, int64_t i, int64_t j) {
           const T score = p.product(h, i, j) / 2 + T(j - i - last) / 4;
           return T(score + offsets<T>()[size_t(h)]);
         });
         return made;
       }},
      {"lengths",
       [mask_of](P& p) {
         const auto n = int32_t(p.Tk - 2);
         return mask_of(p, lengths(tensor<int32_t>({n})),
                        [n](int64_t, int64_t, int64_t j) { return j >= n; });
       }},
      {"lengths of 0",
       [mask_of](P& p) {
         return mask_of(p, lengths(tensor<int32_t>({0})),
                        [](int64_t, int64_t, int64_t) { return true; });
       }},
      {"causal",
       [mask_of](P& p) {
         const int64_t last = p.Tk - p.Tq;
         return mask_of(p, causal(),
                        [last](int64_t, int64_t i, int64_t j) { return j > i + last; });
       }},
      {"a window",
       [mask_of](P& p) {
         const int64_t last = p.Tk - p.Tq;
         return mask_of(p, sliding_window(1), [last](int64_t, int64_t i, int64_t j) {
           return std::abs(j - i - last) > 1;
         });
       }},
      {"keep",
       [mask_of](P& p) {
         std::vector<int32_t> there;
         for (int64_t j = 0; j < p.Tk; ++j) there.push_back(j % 4 == 1 ? 0 : 1);
         return mask_of(p, keep(as_var(tensor(there, {1, p.Tk})) > 0),
                        [](int64_t, int64_t, int64_t j) { return j % 4 == 1; });
       }},
  };
}

/// [1, H, T, n].
template <class T>
Var heads(const std::vector<T>& x, int64_t H, int64_t time) {
  return as_var(tensor(x, {1, H, time, int64_t(x.size()) / (H * time)}));
}

/// Sums over what an array of shape [1, H, Tq or 1, Tk or 1] is broadcast to.
std::vector<Exact> summed_to(const Shape& shape, const std::vector<Exact>& x, int64_t H) {
  if (shape[2] != 1 || shape[3] != 1) return x;
  std::vector<Exact> result(size_t(H), 0);
  for (size_t i = 0; i < x.size(); ++i) result[i / (x.size() / size_t(H))] += x[i];
  return result;
}

template <class T>
void check(const KindOf<T>& kind, Sizes n) {
  Problem<T> p(n);
  const Tape tape;
  const Made made = kind.make(p);
  const int64_t H = p.H, Tq = p.Tq, Tk = p.Tk;
  const Var q = heads(p.q, H, Tq), k = heads(p.k, H, Tk), v = heads(p.v, H, Tk);
  const std::vector<T> g = some<T>(H * Tq * value_depth, 2), u = some<T>(H * Tq * Tk, 3),
                       r = some<T>(H * Tq * Tk, 4);
  const Var y = attention(q, k, v, made.options);
  const Var weights = attention_weights(q, k, made.options);
  const AttentionStatistics statistics = attention_statistics(q, k, made.options, {.top = 1});
  const Var loss = sum(y * heads(g, H, Tq));
  const std::vector<Var> first = grad(loss, {q, k, v, made.scores});
  const Var through_weights = grad(sum(weights * heads(r, H, Tq)), {made.scores})[0];
  // Along u for a gradient of each pair; of one for each head along 1.
  const bool pairs = made.scores.size(2) != 1 || made.scores.size(3) != 1;
  const Var along = pairs ? heads(u, H, Tq) : as_var(full(made.scores.shape(), 1, type_of<T>));
  const Var second = grad(sum(first[3] * along), {made.scores})[0];
  std::vector<Var> all{
      y,     weights, statistics.entropy, statistics.largest, statistics.values, through_weights,
      second};
  all.insert(all.end(), first.begin(), first.end());
  Executor::current().run(all);

  std::vector<Exact> out, w, entropy, largest, ds, dr, dd, dq, dk(p.k.size(), 0), dv(p.v.size(), 0);
  const std::vector<SoftmaxRow> rows = p.rows();
  for (int64_t row = 0; row < H * Tq; ++row) {
    const SoftmaxRow& of = rows[size_t(row)];
    const int64_t h = row / Tq;
    std::vector<Exact> dot(size_t(Tk), 0), one(size_t(Tk), 1), towards, mean(value_depth, 0);
    Exact sum_of_logs = 0;
    for (int64_t j = 0; j < Tk; ++j) {
      for (int64_t d = 0; d < value_depth; ++d) {
        const auto at = size_t((h * Tk + j) * value_depth + d);
        const auto from = size_t(row * value_depth + d);
        dot[size_t(j)] += Exact(g[from]) * Exact(p.v[at]);
        mean[size_t(d)] += of.p[size_t(j)] * Exact(p.v[at]);
        dv[at] += of.p[size_t(j)] * Exact(g[from]);
      }
      towards.push_back(pairs ? Exact(u[size_t(row * Tk + j)]) : Exact(1));
      if (of.p[size_t(j)] != 0) sum_of_logs += of.p[size_t(j)] * of.log_p[size_t(j)];
    }
    const std::vector<Exact> d = of.first(dot);
    const std::vector<Exact> along_u = of.second(dot, towards);
    const std::vector<Exact> of_r =
        of.first(std::vector<T>(r.begin() + row * Tk, r.begin() + (row + 1) * Tk));
    out.insert(out.end(), mean.begin(), mean.end());
    w.insert(w.end(), of.p.begin(), of.p.end());
    entropy.push_back(-sum_of_logs);
    largest.push_back(*std::max_element(of.p.begin(), of.p.end()));
    ds.insert(ds.end(), d.begin(), d.end());
    dr.insert(dr.end(), of_r.begin(), of_r.end());
    dd.insert(dd.end(), along_u.begin(), along_u.end());
  }
  const Exact slope = kind.name.find("places") == std::string::npos ? 1 : 0.5L;
  dq.assign(p.q.size(), 0);
  for (int64_t h = 0; h < H; ++h) {
    for (int64_t i = 0; i < Tq; ++i) {
      for (int64_t j = 0; j < Tk; ++j) {
        for (int64_t d = 0; d < depth; ++d) {
          const auto of_q = size_t((h * Tq + i) * depth + d),
                     of_k = size_t((h * Tk + j) * depth + d);
          dq[of_q] += slope * ds[p.at(h, i, j)] * Exact(p.k[of_k]);
          dk[of_k] += slope * ds[p.at(h, i, j)] * Exact(p.q[of_q]);
        }
      }
    }
  }
  // Sums of up to 300 terms, and for a head of up to 21000.
  const double close = 64 * epsilon<T>, of_head = close * (pairs ? 1 : double(Tq));
  const std::string what =
      kind.name + ", " + std::to_string(Tq) + " x " + std::to_string(Tk) + ": ";
  const Shape& shape = made.scores.shape();
  check_near(what + "output", values_of(y), out, close);
  check_near(what + "weights", values_of(weights), w, close);
  check_near(what + "entropy", values_of(statistics.entropy), entropy, close);
  check_near(what + "largest", values_of(statistics.largest), largest, close);
  check_near(what + "first of the largest", values_of(statistics.values), largest, close);
  check_near(what + "gradient of q", values_of(first[0]), dq, close);
  check_near(what + "gradient of k", values_of(first[1]), dk, close);
  check_near(what + "gradient of v", values_of(first[2]), dv, close);
  check_near(what + "gradient of scores", values_of(first[3]), summed_to(shape, ds, H), of_head);
  check_near(what + "gradient through weights", values_of(through_weights), summed_to(shape, dr, H),
             of_head);
  check_near(what + "second derivative", values_of(second), summed_to(shape, dd, H), of_head);
}

}  // namespace

TEMPLATE_TEST_CASE("attention keeps value and gradients under any offset of its scores", "[offset]",
                   float, double) {
  for (const KindOf<TestType>& kind : kinds<TestType>()) {
    for (const Sizes& n : sizes) check<TestType>(kind, n);
  }
}

TEMPLATE_TEST_CASE("attention with an offset in its products", "[offset]", float, double) {
  using T = TestType;
  // q k' = offset + a b: one rounding, in whatever order the two are added.
  for (const T offset : offsets<T>()) {
    for (const Sizes& n : sizes) {
      std::vector<T> q, k, x;
      for (int64_t i = 0; i < n.queries; ++i) q.insert(q.end(), {T(1), small<T>(i, 1) / 2});
      for (int64_t j = 0; j < n.keys; ++j) k.insert(k.end(), {offset, small<T>(2, j) / 2});
      for (int64_t i = 0; i < n.queries; ++i) {
        for (int64_t j = 0; j < n.keys; ++j) {
          x.push_back(T(offset + q[size_t(2 * i + 1)] * k[size_t(2 * j + 1)]));
        }
      }
      const std::vector<T> v = some<T>(n.keys, 1), g = some<T>(n.queries, 2);
      std::vector<Exact> out, dv(v.size(), 0), db(k.size() / 2, 0);
      for (size_t i = 0; i < size_t(n.queries); ++i) {
        const SoftmaxRow row(&x[i * v.size()], n.keys);
        out.push_back(row.mean(v));
        std::vector<Exact> dot;
        for (const T value : v) dot.push_back(Exact(g[i]) * Exact(value));
        const std::vector<Exact> ds = row.first(dot);
        for (size_t j = 0; j < v.size(); ++j) {
          dv[j] += row.p[j] * Exact(g[i]);
          db[j] += ds[j] * Exact(q[2 * i + 1]);
        }
      }
      const Tape tape;
      const Var queries = heads(q, 1, n.queries), keys = heads(k, 1, n.keys),
                values = heads(v, 1, n.keys);
      const Var y = attention(queries, keys, values, {.scale = 1});
      const std::vector<Var> found = grad(sum(y * heads(g, 1, n.queries)), {keys, values});
      const std::string what = "offset " + std::to_string(offset) + ", " +
                               std::to_string(n.queries) + " x " + std::to_string(n.keys) + ": ";
      check_near(what + "output", values_of(y), out, 64 * epsilon<T>);
      check_near(what + "gradient of v", values_of(found[1]), dv, 64 * epsilon<T>);
      check_near(what + "gradient of k", values_of(select(found[0], 3, 1)), db, 64 * epsilon<T>);

      // For decoding, a row a query: the shared memory of all of them.
      const Var shared =
          shared_attention(reshape(queries, {n.queries, 1, 2}), reshape(keys, {1, n.keys, 1, 2}),
                           reshape(values, {1, n.keys, 1, 1}), tensor<int32_t>({0}),
                           tensor<int32_t>({int32_t(n.keys)}), 1);
      check_near(what + "shared_attention", values_of(shared), out, 64 * epsilon<T>);
    }
  }
}

TEMPLATE_TEST_CASE("weights add up to 1 whatever the scores are rounded to", "[offset]", float,
                   double) {
  using T = TestType;
  // Scores that are no round numbers: backward passes have to make the same of them, to the bit.
  // Keys far from 0 make large products, which differ in the last digits by the order of the sum.
  for (const auto& [offset, shift] :
       {std::pair(0., 0.), {1e4, 0.}, {1e6, 0.}, {-1e9, 0.}, {0., 1e4}}) {
    for (const int64_t Tq : {1, 2, 3, 4, 5, 13, 40, 300}) {
      for (const int64_t Tk : {7, 64, 700}) {
        const Tape tape;
        const auto array = [&](uint64_t key, int64_t time) {
          return as_var(normal(Key{key}, {1, 2, time, 17}, 0, 3, type_of<T>));
        };
        const Var q = array(1, Tq), k = array(2, Tk) + shift, v = array(3, Tk);
        const Var bias = as_var(full({1, 2, Tq, Tk}, offset, type_of<T>));
        const AttentionOptions options{.bias = bias};
        const Var y = attention(q, k, v, options);
        // By a gradient of 1 that of v is the sum of weights, and those of a row's scores are 0.
        const Var dv = grad(sum(y), {v})[0], db = grad(sum(square(y)), {bias})[0];
        const Var weights = sum(attention_weights(q, k, options), -1);
        INFO(offset << ", " << shift << ": " << Tq << " x " << Tk);
        const double close = 64 * epsilon<T>;
        for (const double w : values_of(weights)) REQUIRE(std::abs(w - 1) < close);
        for (const double w : values_of(sum(dv, 2))) REQUIRE(std::abs(w / double(Tq) - 1) < close);
        for (const double d : values_of(sum(db, -1))) REQUIRE(std::abs(d) < 100 * close);
      }
    }
  }
}

TEMPLATE_TEST_CASE("attention with dropout under any offset", "[offset]", float, double) {
  using T = TestType;
  constexpr double p = 0.25;
  for (const Sizes& n : sizes) {
    Problem<T> problem(n);
    const int64_t H = problem.H;
    const Tape tape(Training{Key{5}});
    const Made made = biased(problem);
    AttentionOptions options = made.options;
    options.dropout = p;
    // The identity for values shows the weights that are left.
    std::vector<T> one;
    for (int64_t i = 0; i < H * n.keys; ++i) {
      for (int64_t j = 0; j < n.keys; ++j) one.push_back(T(i % n.keys == j ? 1 : 0));
    }
    const std::vector<T> g = some<T>(H * n.queries * n.keys, 2);
    const Var v = heads(one, H, n.keys);
    const Var y =
        attention(heads(problem.q, H, n.queries), heads(problem.k, H, n.keys), v, options);
    const std::vector<Var> found = grad(sum(y * heads(g, H, n.queries)), {made.scores, v});
    Executor::current().run({y, found[0], found[1]});
    const std::vector<double> left = values_of(y);
    std::vector<Exact> out, ds, dv(one.size(), 0);
    const std::vector<SoftmaxRow> rows = problem.rows();
    for (size_t i = 0; i < rows.size(); ++i) {
      std::vector<Exact> scaled;
      for (size_t j = 0; j < size_t(n.keys); ++j) {
        const size_t at = i * size_t(n.keys) + j;
        const Exact grown = left[at] == 0 ? 0 : 1 / (1 - Exact(p));
        out.push_back(rows[i].p[j] * grown);
        scaled.push_back(Exact(g[at]) * grown);
        const size_t h = i / size_t(n.queries);
        for (size_t d = 0; d < size_t(n.keys); ++d) {
          dv[(h * size_t(n.keys) + j) * size_t(n.keys) + d] +=
              out.back() * Exact(g[i * size_t(n.keys) + d]);
        }
      }
      const std::vector<Exact> d = rows[i].first(scaled);
      ds.insert(ds.end(), d.begin(), d.end());
    }
    check_near("output", left, out, 64 * epsilon<T>);
    check_near("gradient of scores", values_of(found[0]), ds, 64 * epsilon<T>);
    check_near("gradient of v", values_of(found[1]), dv, 64 * epsilon<T>);
  }
}

TEST_CASE("a probe's weights add up to 1 where every key has the usual additive mask") {
  for (const double hidden : {-1e4, -1e9, -double(std::numeric_limits<float>::max())}) {
    const Tape tape;
    const MultiHeadAttention layer(8, 2, Key{3});
    const Var x = as_var(normal(Key{4}, {2, 30, 8}));
    AttentionProbe probe;
    layer(x, additive(as_var(full({1, 1, 1, 30}, hidden))));
    for (const double w : values_of(sum(as_var(probe.weights("")), -1))) {
      REQUIRE(std::abs(w - 1) < 1e-5);
    }
  }
}

}  // namespace rapt::test
