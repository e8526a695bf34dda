// Beam search against searching through everything.
#include "models/decoding/beam_search.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/transformer_steps.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

constexpr int32_t pad = 0, begin = 2, end = 3;

Transformer tiny(uint64_t seed, int64_t vocabulary = 6) {
  Transformer model({.source_vocab = 8,
                     .target_vocab = vocabulary,
                     .width = 8,
                     .heads = 2,
                     .encoder_layers = 1,
                     .decoder_layers = 1,
                     .feed_forward = 12,
                     .max_length = 24},
                    Key{seed});
  // Sharper than a fresh model, whose tokens are nearly as likely as each other.
  model.output.weight.set(normal(Key{seed}.fold(9), model.output.weight.shape(), 0, 1));
  return model;
}

const std::vector<int32_t> three_sources{4, 5, 6, 7, 5, 0, 0, 0, 6, 6, 4, 0};
Tensor source() { return tensor(three_sources, {3, 4}); }
Tensor source_of(int64_t i) {
  return tensor(
      std::vector<int32_t>(three_sources.begin() + i * 4, three_sources.begin() + i * 4 + 4),
      {1, 4});
}

/// The log-probability of tokens and, where `ended`, of the end mark behind them.
double log_probability(const Transformer& model, const Tensor& from,
                       const std::vector<int32_t>& tokens, bool ended = true) {
  std::vector<int32_t> in{begin};
  in.insert(in.end(), tokens.begin(), tokens.end());
  const Tape tape;
  const Var logits = model(from, tensor(in, {1, static_cast<int64_t>(in.size())}));
  const std::vector<float> p = log_softmax(logits).value().to_vector<float>();
  const auto V = static_cast<size_t>(logits.size(2));
  double total = 0;
  for (size_t t = 0; t < tokens.size(); ++t) total += p[t * V + static_cast<size_t>(tokens[t])];
  return ended ? total + p[tokens.size() * V + end] : total;
}

/// All that may be written, up to a number of tokens.
void enumerate(std::vector<int32_t>& row, size_t most, int32_t vocabulary,
               std::vector<std::vector<int32_t>>& all) {
  all.push_back(row);
  if (row.size() == most) return;
  for (int32_t v = 0; v < vocabulary; ++v) {
    if (v == pad || v == begin || v == end) continue;
    row.push_back(v);
    enumerate(row, most, vocabulary, all);
    row.pop_back();
  }
}

TEST_CASE("a beam that is wide enough finds the best there is, in order") {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    const Transformer model = tiny(seed);
    for (const LengthNorm norm : {LengthNorm::none, LengthNorm::power, LengthNorm::gnmt}) {
      for (const Stop stop : {Stop::exact, Stop::likely, Stop::enough}) {
        const double alpha = 0.8;
        // 3 tokens at 4 places: no more than 81 go on.
        const auto found = beam_search(
            model, source(),
            {.beam = 400, .best = 5, .norm = norm, .alpha = alpha, .max_length = 4, .stop = stop});
        REQUIRE(found.size() == 3);
        for (int64_t i = 0; i < 3; ++i) {
          std::vector<std::vector<int32_t>> all;
          std::vector<int32_t> row;
          enumerate(row, 4, 6, all);
          std::vector<std::pair<double, size_t>> scores;
          for (size_t k = 0; k < all.size(); ++k) {
            const double p = log_probability(model, source_of(i), all[k]);
            const auto L = static_cast<double>(all[k].size() + 1);
            double score = p;
            if (norm == LengthNorm::power) score = p / std::pow(L, alpha);
            if (norm == LengthNorm::gnmt) score = p / std::pow((5 + L) / 6, alpha);
            scores.emplace_back(score, k);
          }
          std::sort(scores.rbegin(), scores.rend());
          const std::vector<Hypothesis>& best = found[static_cast<size_t>(i)];
          REQUIRE(best.size() == 5);
          for (size_t n = 0; n < 5; ++n) {
            CHECK(best[n].score == Approx(scores[n].first).margin(1e-5));
            CHECK(best[n].tokens == all[scores[n].second]);
            CHECK(best[n].log_probability ==
                  Approx(log_probability(model, source_of(i), best[n].tokens)).margin(1e-5));
          }
        }
      }
    }
  }
}

bool same(const std::vector<std::vector<Hypothesis>>& a,
          const std::vector<std::vector<Hypothesis>>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return false;
    for (size_t k = 0; k < a[i].size(); ++k) {
      const Hypothesis &x = a[i][k], &y = b[i][k];
      if (x.tokens != y.tokens || x.log_probability != y.log_probability || x.score != y.score) {
        return false;
      }
    }
  }
  return true;
}

TEST_CASE("a beam of one is greedy") {
  for (const uint64_t seed : {4u, 5u, 6u}) {
    const Transformer model = tiny(seed);
    const auto found = beam_search(model, source(), {.beam = 1, .max_length = 12});
    for (int64_t i = 0; i < 3; ++i) {
      std::vector<int32_t> in{begin}, tokens;
      for (int t = 0; t < 12; ++t) {
        const Tape tape;
        const Var logits = model(source_of(i), tensor(in, {1, static_cast<int64_t>(in.size())}));
        std::vector<float> last = select(logits, 1, logits.size(1) - 1).value().to_vector<float>();
        last[pad] = last[begin] = -1e9f;
        const auto best =
            static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin());
        if (best == end) break;
        in.push_back(best);
        tokens.push_back(best);
      }
      const Hypothesis& one = found[static_cast<size_t>(i)].at(0);
      CHECK(one.tokens == tokens);
      CHECK(one.log_probability == Approx(log_probability(model, source_of(i), tokens)));
    }
  }
}

TEST_CASE("an exact stop changes nothing but the time") {
  // A search by hand over full recomputation, which never stops early.
  for (const uint64_t seed : {7u, 8u}) {
    const Transformer model = tiny(seed);
    const size_t beam = 3, most = 6;
    const auto found =
        beam_search(model, source(),
                    {.beam = 3, .best = 3, .alpha = 0.6, .max_length = 6, .stop = Stop::exact});
    for (int64_t i = 0; i < 3; ++i) {
      using Scored = std::pair<double, std::vector<int32_t>>;
      std::vector<Scored> live{{0, {}}}, done;
      for (size_t t = 0; t <= most; ++t) {
        std::vector<Scored> next;
        for (const Scored& from : live) {
          for (int32_t v = 0; v < 6; ++v) {
            if (v == pad || v == begin || (t == most && v != end)) continue;
            std::vector<int32_t> tokens = from.second;
            tokens.push_back(v);
            next.emplace_back(log_probability(model, source_of(i), tokens, false), tokens);
          }
        }
        std::sort(next.rbegin(), next.rend());
        live.clear();
        for (size_t rank = 0; rank < next.size() && live.size() < beam; ++rank) {
          if (next[rank].second.back() != end) {
            live.push_back(next[rank]);
          } else if (rank < beam) {
            const auto L = static_cast<double>(next[rank].second.size());
            next[rank].second.pop_back();
            done.emplace_back(next[rank].first / std::pow(L, 0.6), next[rank].second);
          }
        }
      }
      std::sort(done.rbegin(), done.rend());
      const auto& best = found[static_cast<size_t>(i)];
      REQUIRE(best.size() == std::min(done.size(), beam));
      for (size_t n = 0; n < best.size(); ++n) {
        CHECK(best[n].tokens == done[n].second);
        CHECK(best[n].score == Approx(done[n].first).margin(1e-5));
      }
    }
  }
}

TEST_CASE("sentences do not depend on their batch, nor bits on threads") {
  const Transformer model = tiny(9, 40);
  const BeamOptions options{.beam = 4, .best = 4, .max_length = 10};
  const auto all = beam_search(model, source(), options);
  for (int64_t i = 0; i < 3; ++i) {
    const auto alone = beam_search(model, source_of(i), options);
    const auto& batched = all[static_cast<size_t>(i)];
    REQUIRE(alone[0].size() == batched.size());
    for (size_t n = 0; n < batched.size(); ++n) {
      CHECK(alone[0][n].tokens == batched[n].tokens);
      CHECK(alone[0][n].score == Approx(batched[n].score));
      CHECK((n == 0 || batched[n - 1].score >= batched[n].score));
    }
  }
  for (const int threads : {1, 2, 3}) {
    Executor executor({.threads = threads, .parallel_from = 0});
    const Executor::Use use(executor);
    CHECK(same(beam_search(model, source(), options), all));
  }
}

TEST_CASE("prefixes are kept, and scored") {
  const Transformer model = tiny(10);
  const std::vector<std::vector<int32_t>> prefixes{{5, 5, 1}, {}, {4}};
  const auto found =
      beam_search(model, source(), {.beam = 3, .best = 2, .max_length = 8, .prefixes = prefixes});
  for (size_t i = 0; i < 3; ++i) {
    REQUIRE(found[i].size() == 2);
    for (const Hypothesis& h : found[i]) {
      REQUIRE(h.tokens.size() >= prefixes[i].size());
      CHECK(std::equal(prefixes[i].begin(), prefixes[i].end(), h.tokens.begin()));
      CHECK(h.log_probability ==
            Approx(log_probability(model, source_of(static_cast<int64_t>(i)), h.tokens)));
    }
  }
  const auto free = beam_search(model, source(), {.beam = 3, .best = 2, .max_length = 8});
  CHECK(free[1][0].tokens == found[1][0].tokens);
}

TEST_CASE("lengths") {
  const Transformer model = tiny(11, 20);
  const auto lengths_of = [&](BeamOptions options) {
    std::vector<size_t> lengths;
    options.beam = options.best = 3;
    for (const auto& hypotheses : beam_search(model, source(), options)) {
      for (const Hypothesis& h : hypotheses) {
        lengths.push_back(h.tokens.size());
        for (const int32_t token : h.tokens) {
          CHECK((token != pad && token != begin && token != end && token != 7));
        }
      }
    }
    return lengths;
  };
  for (const size_t n : lengths_of({.never = {7}, .max_length = 9, .min_length = 9})) {
    CHECK(n == 9);
  }
  for (const size_t n : lengths_of({.never = {7}, .max_length = 3})) CHECK(n <= 3);
  for (const size_t n : lengths_of({.never = {7}, .max_length = 0})) CHECK(n == 0);
  // The sources have 4, 1 and 3 tokens.
  const std::vector<size_t> by_source =
      lengths_of({.never = {7}, .length_factor = 0.5, .length_extra = 1, .max_length = 50});
  for (size_t k = 0; k < by_source.size(); ++k) {
    CHECK(by_source[k] <= std::array<size_t, 3>{3, 1, 2}[k / 3]);
  }
  // No more steps than the model has places: 24.
  for (const size_t n : lengths_of({.never = {7}, .length_extra = 100, .min_length = 100})) {
    CHECK(n == 23);
  }
  // Without an end mark all go on to the limit.
  for (const auto& hypotheses :
       beam_search(model, source(), {.beam = 2, .best = 2, .end = -1, .max_length = 5})) {
    REQUIRE(hypotheses.size() == 2);
    for (const Hypothesis& h : hypotheses) CHECK(h.tokens.size() == 5);
  }
}

TEST_CASE("texts of a Gpt go on from their prefixes") {
  const Gpt model({.vocab = 7, .width = 8, .heads = 2, .layers = 1, .max_length = 12}, Key{3});
  const auto found = beam_search(
      model, int64_t{2},
      {.beam = 2, .begin = -1, .end = -1, .length_extra = 6, .prefixes = {{4, 5, 6}, {2}}});
  REQUIRE(found.size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    const std::vector<int32_t>& tokens = found[i].at(0).tokens;
    REQUIRE(tokens.size() == 6);
    const Tape tape;
    const Var p = log_softmax(model(tensor(tokens, {1, 6})));
    const std::vector<float> all = p.value().to_vector<float>();
    double total = 0;
    for (size_t t = 1; t < 6; ++t) total += all[(t - 1) * 7 + static_cast<size_t>(tokens[t])];
    CHECK(found[i][0].log_probability == Approx(total).margin(1e-5));
  }
  CHECK(found[0][0].tokens[2] == 6);
  CHECK(found[1][0].tokens[0] == 2);
}

/// A model of a user's own: a bigram table, with the number of steps as its state.
struct Bigrams : StepModel {
  int64_t sentences() const override { return 1; }
  StepOutput step(const StepInput& input) override {
    std::vector<float> scores;
    for (const int32_t token : input.tokens) {
      for (int32_t v = 0; v < 8; ++v) scores.push_back(v == (token + 1) % 8 ? 3.f : 0.f);
    }
    const Shape shape{input.rows(), 8};
    const Var count = input.states.empty() ? as_var(zeros({input.rows(), 1})) : input.states[0];
    Var row = as_var(tensor(scores, shape));
    if (not_a_number) row = row / zeros({1, 1}) * 0;
    return {row + count, {count + 1}};
  }
  bool not_a_number = false;
};

TEST_CASE("a model of one's own") {
  Bigrams model;
  const auto found =
      beam_search(model, {.beam = 2, .begin = 4, .end = 0, .pad = 1, .stop = Stop::exact});
  CHECK(found.at(0).at(0).tokens == std::vector<int32_t>{5, 6, 7});
  const double p = 3 - std::log(std::exp(3) + 7);
  CHECK(found[0][0].log_probability == Approx(4 * p));
  CHECK(found[0][0].score == Approx(p));
}

/// Counts to 7 and ends, and is nearly sure of it; the end, token 0, is what it thinks of next.
struct Sure : StepModel {
  int64_t sentences() const override { return 1; }
  StepOutput step(const StepInput& input) override {
    std::vector<float> scores;
    for (const int32_t token : input.tokens) {
      for (int32_t v = 0; v < 10; ++v) {
        const int32_t next = token == 9 ? 2 : token == 7 ? 0 : token + 1;
        scores.push_back(v == next ? 12.f : v == 0 ? 4.f : 0.f);
      }
    }
    return {as_var(tensor(scores, {input.rows(), 10})), {}};
  }
};

TEST_CASE("unlikely ends do not stop a search") {
  const std::vector<int32_t> counted{2, 3, 4, 5, 6, 7};
  const auto search = [](int64_t beam, int64_t best, Stop stop) {
    Sure model;
    return beam_search(model,
                       {.beam = beam, .best = best, .begin = 9, .end = 0, .pad = 1, .stop = stop})
        .at(0);
  };
  CHECK(search(1, 1, Stop::enough).at(0).tokens == counted);
  for (const int64_t beam : {1, 2, 3, 5}) {
    for (const Stop stop : {Stop::likely, Stop::exact}) {
      CHECK(search(beam, 1, stop).at(0).tokens == counted);
    }
  }
  CHECK(search(3, 3, Stop::likely).at(0).tokens == counted);
  CHECK(search(3, 1, Stop::enough).at(0).tokens.size() < counted.size());
}

TEST_CASE("a likely stop is exact where length does not count") {
  for (const uint64_t seed : {11u, 12u, 13u}) {
    const Transformer model = tiny(seed);
    const BeamOptions exact{
        .beam = 3, .best = 2, .norm = LengthNorm::none, .max_length = 10, .stop = Stop::exact};
    BeamOptions likely = exact;
    likely.stop = Stop::likely;
    CHECK(same(beam_search(model, source(), exact), beam_search(model, source(), likely)));
  }
}

TEST_CASE("what cannot be searched") {
  using Catch::Matchers::Contains;
  const Transformer model = tiny(1);
  CHECK(beam_search(model, Tensor({0, 4}, DType::int32)).empty());
  const auto search = [&](const BeamOptions& options) {
    return beam_search(model, source(), options);
  };
  CHECK_THROWS_WITH(search({.beam = 0}), Contains("beam is 0, expected 1 or more"));
  CHECK_THROWS_WITH(search({.beam = 2, .best = 3}), Contains("best 3 and beam 2"));
  CHECK_THROWS_WITH(search({.alpha = -1}), Contains("alpha"));
  CHECK_THROWS_WITH(search({.max_length = 3, .min_length = 4}), Contains("min_length 4"));
  CHECK_THROWS_WITH(search({.prefixes = {{1}}}), Contains("1 prefixes for 3 sentences"));
  CHECK_THROWS_WITH(search({.prefixes = {{1}, {3}, {}}}), Contains("sentence 1 holds the end"));
  CHECK_THROWS_WITH(search({.begin = -1}), Contains("there have to be prefixes"));
  CHECK_THROWS_WITH(search({.begin = -1, .prefixes = {{1}, {4}, {}}}),
                    Contains("every prefix needs a token"));
  const std::vector<int32_t> long_prefix(24, 4);
  CHECK_THROWS_WITH(search({.prefixes = {long_prefix, {}, {}}}), Contains("has room for 23"));
  Bigrams broken;
  broken.not_a_number = true;
  CHECK_THROWS_WITH(beam_search(broken), Contains("scores for sentence 0 hold a NaN"));
}

}  // namespace
}  // namespace rapt
