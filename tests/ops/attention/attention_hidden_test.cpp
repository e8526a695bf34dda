// What keys and values hold that nobody sees: NaN, infinities and the largest numbers, as in memory
// that was never filled, reach neither outputs nor gradients of those who do not see them.
#include <cmath>
#include <functional>
#include <limits>

#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/attention/additive_attention.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

struct Sizes {
  int64_t queries, keys;
};

/// Few queries read keys in place; many take several tiles.
const std::vector<Sizes> sizes{{3, 7}, {9, 40}, {40, 40}, {70, 300}};

constexpr int64_t heads = 2, depth = 5;

/// A mask, and whether it hides key j from all queries, or from query i.
struct Hiding {
  std::string name;
  std::function<Mask(Sizes)> mask;
  std::function<bool(Sizes, int64_t i, int64_t j)> hides;
};

Var booleans(const Shape& shape, const std::function<bool(int64_t)>& f) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < shape.size(); ++i) values.push_back(f(i) ? 1 : 0);
  return as_var(tensor(values, shape)) > 0;
}

Tensor ids(int64_t n, const std::function<int32_t(int64_t)>& f) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(f(i));
  return tensor(values, {1, n});
}

bool is_last(Sizes n, int64_t j) { return j >= n.keys - 2; }

const std::vector<Hiding> hidings{
    {"lengths", [](Sizes n) { return lengths(tensor<int32_t>({int32_t(n.keys - 2)})); },
     [](Sizes n, int64_t, int64_t j) { return is_last(n, j); }},
    {"causal", [](Sizes) { return causal(); },
     [](Sizes n, int64_t i, int64_t j) { return j > i + n.keys - n.queries; }},
    {"a window", [](Sizes) { return sliding_window(1); },
     [](Sizes n, int64_t i, int64_t j) { return std::abs(j - i - n.keys + n.queries) > 1; }},
    {"a prefix", [](Sizes) { return prefix(1); },
     [](Sizes n, int64_t i, int64_t j) { return j >= 1 && j > i + n.keys - n.queries; }},
    {"documents in order",
     [](Sizes n) {
       return documents(ids(n.queries, [](int64_t) { return 1; }),
                        ids(n.keys, [n](int64_t j) { return is_last(n, j) ? 2 : 1; }));
     },
     [](Sizes n, int64_t, int64_t j) { return is_last(n, j); }},
    {"documents out of order",
     [](Sizes n) {
       return documents(ids(n.queries, [](int64_t) { return 5; }),
                        ids(n.keys, [](int64_t j) { return j % 3 == 1 ? 2 : 5; }));
     },
     [](Sizes, int64_t, int64_t j) { return j % 3 == 1; }},
    {"keep",
     [](Sizes n) {
       return keep(booleans({1, n.keys}, [](int64_t j) { return j % 3 != 1; }));
     },
     [](Sizes, int64_t, int64_t j) { return j % 3 == 1; }},
    {"keep of each pair",
     [](Sizes n) {
       return keep(booleans({1, n.queries, n.keys},
                            [n](int64_t i) { return (i / n.keys + i % n.keys) % 3 != 1; }));
     },
     [](Sizes, int64_t i, int64_t j) { return (i + j) % 3 == 1; }},
    {"a bias of -inf",
     [](Sizes n) {
       return additive(where(booleans({1, 1, 1, n.keys}, [](int64_t j) { return j % 3 != 1; }), 0.5,
                             full({}, -INFINITY)));
     },
     [](Sizes, int64_t, int64_t j) { return j % 3 == 1; }},
};

Tensor array(uint64_t key, int64_t time) { return normal(Key{key}, {1, heads, time, depth}); }

/// `x` with `value` at every element of one time.
Tensor with(const Tensor& x, int64_t time, double value) {
  Tensor result = x.clone();
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t d = 0; d < depth; ++d) {
      result.data<float>()[size_t((h * x.shape()[2] + time) * depth + d)] = float(value);
    }
  }
  return result;
}

struct Variant {
  double dropout;
  bool capped;  // by a score function
};

struct Found {
  std::vector<double> y, w, q, k = {}, v = {};
};

/// The outputs, weights and gradients of the queries that do not see `key`; those of the keys and
/// values, where no query sees it: who sees a NaN has gradients of NaN.
Found run(const Hiding& hiding, Sizes n, int64_t key, double value, const Variant& variant) {
  const Tape tape(Training{Key{9}});
  const Var q = as_var(array(1, n.queries)), k = as_var(with(array(2, n.keys), key, value)),
            v = as_var(with(array(3, n.keys), key, value));
  AttentionOptions options{.mask = hiding.mask(n), .dropout = variant.dropout};
  if (variant.capped) options.score = [](Score s) { return tanh(s.value / 2) * 2; };
  bool from_all = true;
  for (int64_t i = 0; i < n.queries; ++i) from_all = from_all && hiding.hides(n, i, key);
  const Var blind =
      booleans({1, 1, n.queries, 1}, [&](int64_t i) { return hiding.hides(n, i, key); });
  const Var y = where(blind, attention(q, k, v, options), 0);
  const Var w = where(blind, attention_weights(q, k, options), 0);
  const std::vector<Var> g = grad(sum(y * as_var(array(4, n.queries))), {q, k, v});
  const auto values = [](const Var& x) { return contiguous(x).value().to_vector<double>(); };
  Found found{values(y), values(w), values(where(blind, g[0], 0))};
  if (from_all) {
    found.k = values(g[1]);
    found.v = values(g[2]);
  }
  return found;
}

void check_same(const char* what, const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) < 2e-6))
      FAIL_CHECK(what << " " << i << ": " << a[i] << ", not " << b[i]);
    if (!(std::abs(a[i] - b[i]) < 2e-6)) return;
  }
}

}  // namespace

TEST_CASE("what hidden keys and values hold reaches nobody who does not see them") {
  for (const Hiding& hiding : hidings) {
    for (const Sizes& n : sizes) {
      for (const Variant& variant : {Variant{0, false}, Variant{0, true}, Variant{0.3, false}}) {
        // A key that is hidden from some query at least.
        int64_t key = n.keys - 1;
        while (!hiding.hides(n, 0, key)) --key;
        const Found right = run(hiding, n, key, 0, variant);
        for (const double value : {double(NAN), double(INFINITY), 3e38}) {
          INFO(hiding.name << ", " << n.queries << " x " << n.keys << ", " << value << ", "
                           << variant.dropout << (variant.capped ? ", capped" : ""));
          const Found found = run(hiding, n, key, value, variant);
          check_same("output", found.y, right.y);
          check_same("weights", found.w, right.w);
          check_same("gradient of q", found.q, right.q);
          check_same("gradient of k", found.k, right.k);
          check_same("gradient of v", found.v, right.v);
        }
      }
    }
  }
}

TEST_CASE("a value that is seen and no number is not hidden either") {
  for (const Sizes& n : sizes) {
    const Tape tape;
    const Var q = as_var(array(1, n.queries)), k = as_var(array(2, n.keys)),
              v = as_var(with(array(3, n.keys), n.keys - 1, NAN));
    const Var y = attention(q, k, v, {.mask = causal()});
    const auto sums = sum(y, -1).value().to_vector<double>();
    const auto g = sum(grad(sum(y), {q})[0], -1).value().to_vector<double>();
    // The last query alone sees it.
    for (int64_t i = 0; i < heads * n.queries; ++i) {
      const bool sees = i % n.queries == n.queries - 1;
      CHECK(std::isnan(sums[size_t(i)]) == sees);
      CHECK(std::isnan(g[size_t(i)]) == sees);
    }
  }
}

}  // namespace rapt
