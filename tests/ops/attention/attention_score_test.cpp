// Score functions and masks inside fused attention against the same in plain operators, values and
// gradients, in double.
#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/dropout.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const Key key{77};
constexpr double infinity = std::numeric_limits<double>::infinity();

struct Sizes {
  int64_t B = 2, Hq = 4, Hk = 2, Tq = 9, Tk = 9, D = 5, Dv = 3;
};

/// What a case makes of q, k, v, and of arrays to learn.
/// Lengths of the two sentences, at most all keys.
Mask lengths_of(int64_t first, int64_t second, int64_t keys) {
  return lengths(tensor({std::min(first, keys), std::min(second, keys)}));
}

using Build = std::function<AttentionOptions(const std::vector<Var>&)>;

// In the shape of what a case learns: as many as there are.
constexpr int64_t queries = 1000001, keys = 1000002;

struct Case {
  std::string name;
  Build options;
  std::vector<Shape> learned = {};
};

/// 0, 1 ... along one of four axes.
Var numbers(int axis, int64_t count, double first, DType dtype) {
  Shape shape{1, 1, 1, 1};
  shape[axis] = count;
  Tensor values(shape, DType::float64);
  for (double& value : values.data<double>()) value = first++;
  return as_var(values.to(dtype));
}

Var spread_heads(const Var& x, int64_t heads) {
  const Shape s = x.shape();
  return reshape(broadcast_to(unsqueeze(x, 2), {s[0], s[1], heads / s[1], s[2], s[3]}),
                 {s[0], heads, s[2], s[3]});
}

/// Attention by the formula: the user's function gets arrays instead of names.
Var composed(const Var& q, const Var& k, const Var& v, const AttentionOptions& o) {
  const int64_t Tq = q.size(2), Tk = k.size(2);
  Var scores = matmul(q, transpose(spread_heads(k, q.size(1)))) *
               (1 / std::sqrt(static_cast<double>(q.size(3))));
  if (o.score) {
    const DType dtype = q.dtype();
    scores = o.score({.value = scores,
                      .batch = numbers(0, q.size(0), 0, dtype),
                      .head = numbers(1, q.size(1), 0, dtype),
                      .query = numbers(2, Tq, static_cast<double>(Tk - Tq), dtype),
                      .key = numbers(3, Tk, 0, dtype)});
    scores = broadcast_to(scores, {q.size(0), q.size(1), Tq, Tk});
  }
  if (!o.bias.is_empty()) scores = scores + o.bias;
  return matmul(softmax(masked(scores, o.mask)), spread_heads(v, q.size(1)));
}

std::vector<Tensor> run(const Case& c, const Sizes& s, DType dtype, bool fused) {
  Tape tape;
  const auto drawn = [&](uint64_t id, const Shape& shape) {
    return as_var(uniform(key.fold(id), shape, -1.5, 1.5, DType::float64).to(dtype));
  };
  std::vector<Var> wrt{drawn(0, {s.B, s.Hq, s.Tq, s.D}), drawn(1, {s.B, s.Hk, s.Tk, s.D}),
                       drawn(2, {s.B, s.Hk, s.Tk, s.Dv})};
  std::vector<Var> learned;
  for (Shape shape : c.learned) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (shape[axis] == queries) shape[axis] = s.Tq;
      if (shape[axis] == keys) shape[axis] = s.Tk;
    }
    learned.push_back(drawn(10 + learned.size(), shape));
    wrt.push_back(learned.back());
  }
  const AttentionOptions options = c.options(learned);
  const Var y = fused ? attention(wrt[0], wrt[1], wrt[2], options)
                      : composed(wrt[0], wrt[1], wrt[2], options);
  std::vector<Var> results = grad(sum(y * drawn(5, {s.B, s.Hq, s.Tq, s.Dv})), wrt);
  results.push_back(y);
  if (fused) results.push_back(attention_weights(wrt[0], wrt[1], options));
  Executor::current().run(results);
  std::vector<Tensor> values;
  for (const Var& var : results) values.push_back(var.value().clone());
  return values;
}

void compare(const Case& c, const Sizes& s, DType dtype, double tolerance) {
  INFO(c.name);
  CAPTURE(s.Tq, s.Tk, s.D);
  const std::vector<Tensor> fused = run(c, s, dtype, true), plain = run(c, s, dtype, false);
  for (size_t i = 0; i < plain.size(); ++i) {
    CAPTURE(i);
    REQUIRE(fused[i].shape() == plain[i].shape());
    const std::vector<double> x = fused[i].to_vector<double>(), y = plain[i].to_vector<double>();
    double largest = 0, size = 0;
    for (size_t n = 0; n < x.size(); ++n) {
      const double d = std::abs(x[n] - y[n]);
      largest = std::isnan(d) ? infinity : std::max(largest, d);
      size = std::max(size, std::abs(y[n]));
    }
    // What is learned gets sums of 40,000 terms that nearly cancel, both times in float.
    const bool sums = dtype == DType::float32 && i > 2 && i + 1 < plain.size();
    CHECK(largest <= tolerance * (sums ? 20 : 1) * std::max(1.0, size));
  }
}

Var far(const Score& s) { return abs(s.key - s.query); }

std::vector<Case> score_cases() {
  using Learned = std::vector<Var>;
  const auto with = [](ScoreFunction f) { return AttentionOptions{.score = std::move(f)}; };
  return {
      {"identity", [=](const Learned&) { return with([](const Score& s) { return s.value; }); }},
      {"no value",
       [=](const Learned&) { return with([](const Score& s) { return s.key * -0.1; }); }},
      {"of the head alone",
       [=](const Learned& x) { return with([=](const Score& s) { return Var(x[0][s.head]); }); },
       {{4}}},
      {"a float cast to boolean and back",
       [=](const Learned& x) {
         return with([=](const Score& s) {
           const Var some = cast(clamp(s.value, -0.1, 0.2) + 0.1, DType::boolean);
           return s.key * 0.1 + cast(some, s.value.dtype()) + where(some, x[0][s.head], 0.5);
         });
       },
       {{4}}},
      {"soft cap", [=](const Learned&) { return with(score::softcap(0.7)); }},
      {"ALiBi", [=](const Learned&) { return with(score::alibi()); }},
      {"ALiBi, learned", [=](const Learned& x) { return with(score::alibi(x[0])); }, {{4}}},
      {"soft cap, then ALiBi",
       [=](const Learned& x) { return with(score::softcap(1.5) | score::alibi(x[0])); },
       {{4}}},
      {"the design's example",
       [=](const Learned& x) {
         return with([=](const Score& s) {
           return tanh(s.value / 30.f) * 30.f + x[0][s.head] * (s.key - s.query);
         });
       },
       {{4}}},
      {"temperature", [=](const Learned& x) { return with(score::temperature(exp(x[0]))); }, {{}}},
      {"temperature of heads",
       [=](const Learned& x) { return with(score::temperature(exp(x[0]))); },
       {{4}}},
      {"T5",
       [=](const Learned& x) { return with(score::t5_bias(x[0], {.max_distance = 12})); },
       {{8, 4}}},
      {"T5 of a decoder",
       [=](const Learned& x) {
         return AttentionOptions{.mask = causal(), .score = score::t5_bias(x[0], {false, 12})};
       },
       {{8, 4}}},
      {"relative bias, clipped",
       [=](const Learned& x) { return with(score::relative_bias(x[0])); },
       {{4, 7}}},
      {"a clamped index",
       [=](const Learned& x) {
         return with([=](const Score& s) {
           return s.value * x[0][s.head][clamp(s.key - s.query + 3, 1, 5)];
         });
       },
       {{4, 9}}},
      {"an index that falls along the keys",
       [=](const Learned& x) {
         return with([=](const Score& s) { return s.value + x[0][s.query - s.key]; });
       },
       {{6}}},
      {"the axis of the key is not the last",
       [=](const Learned& x) {
         return with([=](const Score& s) { return s.value + x[0][s.key - 1][s.head]; });
       },
       {{12, 4}}},
      {"gathered buckets",
       [=](const Learned& x) {
         return with(
             [=](const Score& s) { return s.value + x[0][s.head][floor(sqrt(far(s)) * 1.5)]; });
       },
       {{4, 5}}},
      {"two wide indices, of one array read twice",
       [=](const Learned& x) {
         return with([=](const Score& s) {
           return s.value * x[0][s.query][s.key] + x[0][s.key][floor(far(s) / 2)];
         });
       },
       {{5, 5}}},
      {"an index by the score itself",
       [=](const Learned& x) {
         return with([=](const Score& s) {
           return s.value + x[0][floor(clamp(s.value * 2, -2, 2) + 2.25)];
         });
       },
       {{5}}},
      {"an element of an element",
       [=](const Learned& x) {
         return with(
             [=](const Score& s) { return s.value + x[0][far(s) + floor(x[1][s.head] * 2)]; });
       },
       {{7}, {4}}},
      {"whole arrays",
       [=](const Learned& x) {
         return with([=](const Score& s) { return s.value * x[0] + x[1] + x[2] * s.batch; });
       },
       {{4, 1, 1}, {1, keys}, {2, 1, queries, 1}}},
      {"a value used again by the derivative",
       [=](const Learned& x) {
         return with([=](const Score& s) {
           return square(s.value) * x[0][s.batch] + sigmoid(s.value + s.key * 0.1);
         });
       },
       {{2}}},
      {"keys hidden by minus infinity",
       [=](const Learned& x) {
         return with(
             [=](const Score& s) { return where(s.key > s.query + 1, -infinity, s.value * x[0]); });
       },
       {{}}},
      {"with a bias, lengths and groups",
       [=](const Learned& x) {
         AttentionOptions o{.mask = lengths_of(5, 300, x[1].size(-1)), .bias = x[1]};
         o.score = score::softcap(2) | score::alibi(x[0]);
         return o;
       },
       {{4}, {4, 1, keys}}},
  };
}

std::vector<Case> mask_cases(const Sizes& s) {
  using Learned = std::vector<Var>;
  const auto of = [](Mask mask) { return AttentionOptions{.mask = std::move(mask)}; };
  // Two rows of documents, in order and not.
  const auto ids = [](int64_t count, int32_t step, bool mixed) {
    Tensor x({2, count}, DType::int32);
    int32_t n = 0;
    for (int32_t& id : x.data<int32_t>()) {
      const auto at = static_cast<int32_t>(n++ % count);
      id = mixed ? at * 7 % 5 - 2 : at / step;
    }
    return x;
  };
  std::vector<Case> cases{
      {"window", [=](const Learned&) { return of(sliding_window(3)); }},
      {"window of its own place", [=](const Learned&) { return of(sliding_window(0)); }},
      {"window wider than all",
       [=](const Learned&) { return of(sliding_window(std::numeric_limits<int64_t>::max())); }},
      {"window, causal", [=](const Learned&) { return of(causal() & sliding_window(40)); }},
      {"windows", [=](const Learned&) { return of(sliding_window(40) & sliding_window(70)); }},
      {"prefix", [=](const Learned&) { return of(prefix(4)); }},
      {"prefix of each sentence",
       [=](const Learned&) {
         return of(prefix(tensor<int32_t>({0, 7})));
       }},
      {"prefix, window, lengths",
       [=](const Learned&) {
         return of(prefix(tensor<int32_t>({90, 2})) & sliding_window(20) &
                   lengths_of(3, 200, s.Tk));
       }},
      {"prefix and causal", [=](const Learned&) { return of(prefix(4) & causal()); }},
      {"documents",
       [=](const Learned&) { return of(documents(ids(s.Tq, 4, false), ids(s.Tk, 5, false))); }},
      {"long documents, causal",
       [=](const Learned&) {
         return of(causal() & documents(ids(s.Tq, 66, false), ids(s.Tk, 66, false)));
       }},
      {"mixed documents, window",
       [=](const Learned&) {
         return of(sliding_window(9) & documents(ids(s.Tq, 1, true), ids(s.Tk, 1, true)));
       }},
      {"documents of all sentences, twice",
       [=](const Learned&) {
         const Var own = slice(ids(s.Tq, 3, false), 0, 0, 1);
         const Var others = slice(ids(s.Tk, 3, true), 0, 1, 2);
         return of(documents(own, others) & documents(ids(s.Tq, 7, false), ids(s.Tk, 6, false)));
       }},
      {"additive biases",
       [=](const Learned& x) { return of(additive(x[0]) & additive(x[1]) & causal()); },
       {{4, 1, keys}, {queries, keys}}},
      {"additive, and a bias",
       [=](const Learned& x) { return AttentionOptions{.mask = additive(x[0]), .bias = x[1]}; },
       {{2, 1, 1, keys}, {4, queries, 1}}},
      {"all of them, and a score",
       [=](const Learned& x) {
         AttentionOptions o;
         o.mask = prefix(3) & sliding_window(30) & lengths_of(40, 6, s.Tk) &
                  documents(ids(s.Tq, 30, false), ids(s.Tk, 30, false)) & additive(x[0]);
         o.score = score::softcap(2) | score::alibi(x[1]);
         return o;
       },
       {{keys}, {4}}},
  };
  return cases;
}

const std::vector<Sizes> sizes{{},
                               {.Tq = 4, .Tk = 11},
                               {.Tq = 11, .Tk = 4},
                               {.Tq = 1, .Tk = 33, .D = 16, .Dv = 17},
                               {.Hk = 4, .Tq = 70, .Tk = 300, .D = 8, .Dv = 8},
                               {.Hk = 1, .Tq = 300, .Tk = 67, .D = 3, .Dv = 5}};

}  // namespace

TEST_CASE("score functions inside the kernel give what plain operators give") {
  const Sizes s = GENERATE(from_range(sizes));
  for (const Case& c : score_cases()) {
    compare(c, s, DType::float64, 1e-11);
    // Float indices made of scores may fall to the other side of a whole number.
    if (c.name != "an index by the score itself") compare(c, s, DType::float32, 3e-5);
  }
}

TEST_CASE("masks inside the kernel give what plain operators give") {
  const Sizes s = GENERATE(from_range(sizes));
  for (const Case& c : mask_cases(s)) {
    compare(c, s, DType::float64, 1e-11);
    compare(c, s, DType::float32, 3e-5);
  }
}

TEST_CASE("a score function stores no array of all pairs") {
  constexpr int64_t T = 2048, D = 16;
  Tape tape;
  const auto array = [](const Shape& shape) { return as_var(uniform(key, shape, -1, 1)); };
  const Var x = array({1, 2, T, D}), slopes = array({2}), table = array({2, 63});
  const Var y =
      attention(x, x, x,
                {.mask = causal() & sliding_window(300),
                 .score = score::alibi(slopes) | score::relative_bias(table) | score::softcap(5)});
  std::vector<Var> wanted = grad(sum(square(y)), {x, slopes, table});
  wanted.push_back(y);
  CHECK(Executor::current().plan(wanted)->arena_bytes < T * T * 4 / 4);
}

TEST_CASE("gradients of captured arrays have the same bits on any number of threads") {
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3}) {
    Executor executor({.threads = threads});
    Tape tape;
    const Var x = as_var(uniform(key, {3, 4, 130, 8}, -1, 1));
    const Var table = as_var(uniform(key.fold(1), {4, 9}, -1, 1));
    const Var slopes = as_var(uniform(key.fold(2), {4}, -1, 1));
    const Var y = attention(x, x, x, {.score = [&](const Score& s) {
                              const Var bucket = floor(sqrt(abs(s.key - s.query)));
                              return s.value + table[s.head][bucket] * slopes[s.head];
                            }});
    const std::vector<Var> g = grad(sum(square(y)), {table, slopes, x});
    executor.run(g);
    std::vector<float> all;
    for (const Var& var : g) {
      const std::vector<float> part = var.value().to_vector<float>();
      all.insert(all.end(), part.begin(), part.end());
    }
    results.push_back(all);
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("equal score functions share a plan, others have one of their own") {
  const auto plan_of = [](const ScoreFunction& f) {
    Tape tape;
    const Var x = as_var(uniform(key, {1, 2, 5, 4}, -1, 1));
    const Var y = attention(x, x, x, {.score = f});
    return Executor::current().plan({&y, 1});
  };
  CHECK(plan_of(score::softcap(3)) == plan_of(score::softcap(4)));
  CHECK(plan_of(score::softcap(3)) != plan_of(score::alibi()));
}

TEST_CASE("rows whose keys a score function hides give zeros everywhere") {
  Tape tape;
  const Var x = as_var(uniform(key, {1, 2, 5, 4}, -1, 1)), t = as_var(full({2}, 0.5));
  const Var y = attention(x, x, x, {.score = [&](const Score& s) {
                            const Var shown = log(s.query) * s.value * t[s.head];  // log 0
                            return where(s.query < 1, -infinity, shown);
                          }});
  const std::vector<Var> g = grad(sum(square(y)), {x, t});
  Executor::current().run({y, g[0], g[1]});
  for (const Var& var : {y, g[0], g[1]}) {
    for (const double value : var.value().to_vector<double>()) CHECK(std::isfinite(value));
  }
  CHECK(sum(abs(slice(y, 2, 0, 1))).item() == 0);
  CHECK(sum(abs(slice(y, 2, 1, 5))).item() > 0);
}

TEST_CASE("a bias that is spread over nothing gets zeros") {
  for (const Shape& all : {Shape{0, 2, 3, 4}, Shape{2, 2, 0, 4}, Shape{2, 2, 3, 0}}) {
    CAPTURE(to_string(all));
    Shape one = all;  // of the bias
    for (int axis = 0; axis < 4; ++axis) one[axis] = std::max<int64_t>(one[axis], 1);
    Executor executor;
    {  // the memory that the gradient will have
      Tape tape;
      const Var used = as_var(zeros(one)) + std::nan("");
      executor.run({used});
    }
    Tape tape;
    const auto array = [](const Shape& shape) { return as_var(uniform(key, shape, -1, 1)); };
    const Var q = array({all[0], 2, all[2], 4}), k = array({all[0], 2, all[3], 4});
    const Var bias = array(one);
    const Var g = grad(sum(attention(q, k, k, {.bias = bias})), {bias})[0];
    executor.run({g});
    for (const double value : g.value().to_vector<double>()) CHECK(value == 0);
  }
}

TEST_CASE("errors of score functions say what they may be made of") {
  Tape tape(Training{key});
  const Var x = as_var(zeros({1, 2, 5, 4}));
  const auto with = [&](const ScoreFunction& f) { return attention(x, x, x, {.score = f}); };
  CHECK_THROWS_WITH(with([](const Score& s) { return softmax(s.value); }),
                    Contains("softmax is not elementwise") && Contains("attention_score_test.cpp"));
  CHECK_THROWS_WITH(with([](const Score& s) { return transpose(s.value, 1, 2); }),
                    Contains("score function: "));
  CHECK_THROWS_WITH(with([](const Score& s) { return dropout(s.value, 0.5); }),
                    Contains("dropout is not elementwise"));
  CHECK_THROWS_WITH(with([](const Score& s) { return s.key > s.query; }),
                    Contains("expected float32 scores [1, 2, 5, 5], it returns boolean"));
  CHECK_THROWS_WITH(with([](const Score&) { return Var(); }), Contains("returns nothing"));
  CHECK_THROWS_WITH(with([](const Score& s) { return s.value + as_var(zeros({3})); }),
                    Contains("[3]"));
  CHECK_THROWS_WITH(with([](const Score& s) { return s.head + as_var(zeros({3})); }),
                    Contains("it returns float32 [1, 2, 1, 3]"));
  CHECK_THROWS_WITH(with([](const Score& s) {
                      const Var ids = cast(s.key, DType::int32);
                      return s.value + as_var(zeros({5}))[ids];
                    }),
                    Contains("int32 values"));
  CHECK_THROWS_WITH(with([](const Score& s) { return s.value[0][0][0][s.key] + s.value; }),
                    Contains("has to come from outside"));
  CHECK_THROWS_WITH(
      with([](const Score& s) { return s.value + as_var(zeros({(int64_t{1} << 23) + 1}))[s.key]; }),
      Contains("[8388609] is too long"));
  Var kept;
  with([&](const Score& s) { return kept = s.value * 2; });
  CHECK_THROWS_WITH(kept.value(), Contains("only inside of attention"));
  CHECK_THROWS_WITH(score::softcap(0), Contains("above 0"));
  CHECK_THROWS_WITH(with(score::t5_bias(zeros({8, 3}))), Contains("[buckets, 2]"));
  CHECK_THROWS_WITH(with(score::relative_bias(zeros({2, 4}))), Contains("[2, 2 w + 1]"));
  CHECK_THROWS_WITH(sliding_window(-1), Contains("0 or more"));
  const auto masked_by = [&](const Mask& mask) { return attention(x, x, x, {.mask = mask}); };
  CHECK_THROWS_WITH(masked_by(prefix(tensor<int32_t>({1, 2}))), Contains("prefix [B], got [2]"));
  CHECK_THROWS_WITH(masked_by(documents(zeros({1, 4}, DType::int32))),
                    Contains("documents [1, 4] and [1, 4] do not fit"));
}

}  // namespace rapt
