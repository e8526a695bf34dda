// What CTC says, against sums over all paths.
#include "models/decoding/ctc_decoding.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "ops/rows/softmax.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Labels = std::vector<int32_t>;

/// Of normal logits; class `never` has no probability.
Tensor log_probabilities(Key key, const Shape& shape, int64_t never = -1) {
  const Tensor logits = normal(key, shape, 0, 1.5);
  for (int64_t i = never; never >= 0 && i < logits.size(); i += shape[2]) {
    logits.data<float>()[static_cast<size_t>(i)] = -std::numeric_limits<float>::infinity();
  }
  const Tape tape;
  return log_softmax(logits).value().clone();
}

Labels labels_of(const Labels& path, int32_t blank) {
  Labels labels;
  for (size_t t = 0; t < path.size(); ++t) {
    if (path[t] != blank && (t == 0 || path[t] != path[t - 1])) labels.push_back(path[t]);
  }
  return labels;
}

/// The probability of every sequence of labels of utterance b.
std::map<Labels, double> all_labels(const Tensor& log_p, int64_t b, int64_t times, int32_t blank) {
  const int64_t T = log_p.shape()[1], V = log_p.shape()[2];
  const float* p = log_p.data<float>().data() + b * T * V;
  std::map<Labels, double> found;
  Labels path(static_cast<size_t>(times), 0);
  for (bool more = true; more;) {
    double sum = 0;
    for (size_t t = 0; t < path.size(); ++t) {
      sum += double(p[static_cast<int64_t>(t) * V + path[t]]);
    }
    found[labels_of(path, blank)] += std::exp(sum);
    size_t t = 0;
    while (t < path.size() && path[t] == V - 1) path[t++] = 0;
    more = t < path.size();
    if (more) ++path[t];
  }
  return found;
}

}  // namespace

TEST_CASE("the best path loses repeats and blanks, and says when labels begin") {
  // Classes 0 .. 2 at each time; 0 is the blank.
  const auto path = [](const Labels& classes) {
    Tensor log_p({1, static_cast<int64_t>(classes.size()), 3});
    for (size_t t = 0; t < classes.size(); ++t) {
      for (int32_t v = 0; v < 3; ++v) {
        log_p.data<float>()[t * 3 + static_cast<size_t>(v)] = v == classes[t] ? -0.1f : -4.f;
      }
    }
    return log_p;
  };
  const CtcPath found = ctc_greedy(path({0, 1, 1, 0, 1, 2, 2, 0}), tensor<int32_t>({8}, {1}))[0];
  CHECK(found.tokens == Labels{1, 1, 2});
  CHECK(found.times == Labels{1, 4, 5});
  CHECK(ctc_greedy(path({2, 1, 1, 0}), tensor<int32_t>({2}, {1}))[0].tokens == Labels{2, 1});
  CHECK(ctc_greedy(path({2, 1, 0}), tensor<int32_t>({0}, {1}))[0].tokens.empty());
  CHECK(ctc_greedy(path({0, 2, 1}), tensor<int32_t>({3}, {1}), 2)[0].tokens == Labels{0, 1});
}

TEST_CASE("prefix beam search adds up all paths of its labels") {
  for (const int32_t blank : {0, 2}) {
    const Tensor log_p = log_probabilities(Key{7}.fold(static_cast<uint64_t>(blank)), {3, 6, 3});
    const std::vector<int32_t> lengths{6, 4, 0};
    const auto found =
        ctc_beam_search(log_p, tensor(lengths, {3}), {.beam = 1000, .best = 1000, .blank = blank});
    for (size_t b = 0; b < 3; ++b) {
      const auto all = all_labels(log_p, static_cast<int64_t>(b), lengths[b], blank);
      REQUIRE(found[b].size() == all.size());
      double before = 1;
      for (const Hypothesis& h : found[b]) {
        const double p = std::exp(h.log_probability);
        CHECK(p == Approx(all.at(h.tokens)).epsilon(1e-6));
        CHECK(p <= before);
        before = p;
      }
    }
  }
  // A narrow beam gives the best of what it kept.
  const Tensor log_p = log_probabilities(Key{9}, {1, 30, 5});
  const auto narrow = ctc_beam_search(log_p, tensor<int32_t>({30}, {1}), {.beam = 3, .best = 2})[0];
  REQUIRE(narrow.size() == 2);
  CHECK(narrow[0].log_probability >= narrow[1].log_probability);
}

TEST_CASE("CTC's prefix scores are the shares of all labels that begin so") {
  constexpr int32_t end = 3;
  const Tensor log_p = log_probabilities(Key{8}, {2, 6, 4}, end);
  const std::vector<int32_t> lengths{6, 5};
  const auto model = ctc_prefix_model(log_p, tensor(lengths, {2}), {.end = end});
  REQUIRE(model->sentences() == 2);
  CHECK(model->source_length(1) == 5);

  Stepper stepper(*model);
  std::vector<Labels> rows{{}, {}};
  StepInput input{.tokens = {2, 2}, .parents = {}, .sentences = {0, 1}, .states = {}};
  for (int step = 0; step < 4; ++step) {
    const Tensor scores = stepper.step(input, [](const Var& s) { return std::vector<Var>{s}; })[0];
    const size_t width = rows.size() / 2;
    for (size_t r = 0; r < rows.size(); ++r) {
      const auto b = static_cast<int64_t>(r / width);
      double shares[4] = {0, 0, 0, 0}, sum = 0;
      for (const auto& [labels, p] : all_labels(log_p, b, lengths[static_cast<size_t>(b)], 0)) {
        const Labels& g = rows[r];
        if (labels.size() < g.size() || !std::equal(g.begin(), g.end(), labels.begin())) continue;
        shares[labels.size() == g.size() ? end : labels[g.size()]] += p;
        sum += p;
      }
      for (size_t v = 0; v < 4; ++v) {
        const double got = std::exp(double(scores.data<float>()[r * 4 + v]));
        INFO("step " << step << ", row " << r << ", token " << v);
        CHECK(got == Approx(shares[v] / sum).margin(1e-6));
      }
    }
    // Each row goes on with both labels: a repeat and a change, and rows in another order.
    std::vector<Labels> next;
    StepInput following{.tokens = {}, .parents = {}, .sentences = {0, 1}, .states = {}};
    for (size_t b = 0; b < 2; ++b) {
      for (size_t j = 0; j < 2 && j < 2 * width; ++j) {
        const size_t parent = b * width + (width - 1) * static_cast<size_t>(step % 2);
        const auto token = static_cast<int32_t>(2 - j);
        following.parents.push_back(static_cast<int32_t>(parent));
        following.tokens.push_back(token);
        next.push_back(rows[parent]);
        next.back().push_back(token);
      }
    }
    rows = next;
    input = following;
  }
}

TEST_CASE("beam search over CTC alone finds what prefix beam search finds") {
  const Tensor log_p = log_probabilities(Key{10}, {4, 7, 4}, 3);
  const Tensor lengths = tensor<int32_t>({7, 6, 7, 1}, {4});
  const auto model = ctc_prefix_model(log_p, lengths, {.end = 3});
  const auto joint = beam_search(
      *model,
      {.beam = 200, .begin = 0, .norm = LengthNorm::none, .stop = Stop::exact, .normalise = false});
  const auto alone = ctc_beam_search(log_p, lengths, {.beam = 500});
  for (size_t b = 0; b < 4; ++b) {
    CHECK(joint[b][0].tokens == alone[b][0].tokens);
    CHECK(joint[b][0].log_probability == Approx(alone[b][0].log_probability).margin(1e-4));
  }
}

TEST_CASE("CTC decoding: messages") {
  const Tensor log_p = log_probabilities(Key{11}, {2, 4, 3});
  const Tensor lengths = tensor<int32_t>({4, 4}, {2});
  using Catch::Contains;
  CHECK_THROWS_WITH(ctc_greedy(log_p, tensor<int32_t>({4, 5}, {2})),
                    Contains("length 5 of utterance 1 is none of 0 .. 4"));
  CHECK_THROWS_WITH(ctc_greedy(log_p, tensor<int32_t>({4}, {1})), Contains("expected log-prob"));
  CHECK_THROWS_WITH(ctc_greedy(log_p, lengths, 3), Contains("none of the 3 classes"));
  CHECK_THROWS_WITH(ctc_beam_search(log_p, lengths, {.beam = 2, .best = 3}), Contains("best 3"));
  CHECK_THROWS_WITH(ctc_prefix_model(log_p, lengths, {.blank = 1, .end = 1}),
                    Contains("not the blank 1, got 1"));
  log_p.data<float>()[20] = std::nanf("");
  CHECK_THROWS_WITH(ctc_greedy(log_p, lengths), Contains("utterance 1 hold a NaN"));
}

}  // namespace rapt
