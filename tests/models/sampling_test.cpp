// Samples against known probabilities.
#include "models/decoding/sampling.hpp"

#include <cmath>
#include <map>

#include "framework/core/error.hpp"
#include "framework/run/executor.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const std::vector<double> likely{0, 0.1, 0, 0.05, 0.4, 0.25, 0.15, 0.05};

/// Says the same at every step, for any row.
class Constant : public StepModel {
 public:
  Constant(int64_t sentences, std::vector<double> probabilities)
      : sentences_(sentences), probabilities_(std::move(probabilities)) {}
  int64_t sentences() const override { return sentences_; }
  StepOutput step(const StepInput& input) override {
    std::vector<float> row;
    for (const double p : probabilities_) row.push_back(static_cast<float>(std::log(p)));
    const auto V = static_cast<int64_t>(row.size());
    return {broadcast_to(tensor(row, {1, V}), {input.rows(), V})};
  }

 private:
  int64_t sentences_;
  std::vector<double> probabilities_;
};

/// How often each first token (the end mark: -1) comes in so many samples.
std::map<int32_t, double> frequencies(const SamplingOptions& options) {
  Constant model(4, likely);
  std::map<int32_t, double> seen;
  for (const auto& samples : sample(model, options)) {
    for (const Hypothesis& h : samples) {
      seen[h.tokens.empty() ? -1 : h.tokens[0]] += 1 / (4.0 * static_cast<double>(samples.size()));
    }
  }
  return seen;
}

/// The options of one draw a sample: of all tokens but 0 and 2, which are pad and begin.
SamplingOptions one_token() {
  return {.key = Key{5}, .samples = 5000, .length_extra = 1, .max_length = 1};
}

// 20000 draws: a frequency's standard deviation is at most sqrt(0.25 / 20000) = 0.0035.
constexpr double five_deviations = 0.018;

TEST_CASE("tokens come as often as their probabilities say") {
  std::map<int32_t, double> seen = frequencies(one_token());
  CHECK(seen[-1] == Approx(0.05).margin(five_deviations));
  for (const int32_t token : {1, 4, 5, 6, 7}) {
    CHECK(seen[token] == Approx(likely[static_cast<size_t>(token)]).margin(five_deviations));
  }
  CHECK(seen.size() == 6);
}

TEST_CASE("temperature sharpens and flattens") {
  SamplingOptions options = one_token();
  for (const double temperature : {0.5, 2.0}) {
    options.temperature = temperature;
    std::map<int32_t, double> seen = frequencies(options);
    double total = 0;
    for (const double p : likely) total += p > 0 ? std::pow(p, 1 / temperature) : 0;
    for (const int32_t token : {1, 4, 5, 6, 7}) {
      const double p = std::pow(likely[static_cast<size_t>(token)], 1 / temperature) / total;
      CHECK(seen[token] == Approx(p).margin(five_deviations));
    }
  }
}

TEST_CASE("top_k and top_p leave the likeliest, in their proportion") {
  SamplingOptions options = one_token();
  options.top_k = 2;
  std::map<int32_t, double> seen = frequencies(options);
  CHECK(seen.size() == 2);
  CHECK(seen[4] == Approx(0.4 / 0.65).margin(five_deviations));
  options = one_token();
  options.top_p = 0.7;  // 0.4 and 0.25 are not enough: the third comes in
  seen = frequencies(options);
  CHECK(seen.size() == 3);
  CHECK(seen[6] == Approx(0.15 / 0.8).margin(five_deviations));
  options.top_k = 2;  // of two, 0.4 / 0.65 is not enough for 0.7
  seen = frequencies(options);
  CHECK(seen.size() == 2);
  options.top_p = 0.6;
  CHECK(frequencies(options).size() == 1);
}

TEST_CASE("samples end, and tell their log-probabilities") {
  Constant model(2, likely);
  const auto all = sample(model, {.key = Key{1}, .samples = 50, .length_extra = 200});
  size_t longest = 0;
  for (const auto& samples : all) {
    for (const Hypothesis& h : samples) {
      double p = std::log(0.05);
      for (const int32_t token : h.tokens) {
        REQUIRE((token != 0 && token != 2 && token != 3));
        p += std::log(likely[static_cast<size_t>(token)]);
      }
      CHECK(h.log_probability == Approx(p).margin(1e-4));
      longest = std::max(longest, h.tokens.size());
    }
  }
  CHECK(longest > 20);   // 1 / 0.05 is the mean
  CHECK(longest < 200);  // 0.95^200 is nothing
}

bool same(const std::vector<Hypothesis>& a, const std::vector<Hypothesis>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].tokens != b[i].tokens || a[i].log_probability != b[i].log_probability) return false;
  }
  return true;
}

TEST_CASE("a sentence's samples do not depend on its batch, nor on threads") {
  Constant together(5, likely);
  SamplingOptions options{.key = Key{3}, .samples = 3};
  const auto all = sample(together, options);
  CHECK(!same(all[0], all[1]));
  for (int64_t i = 0; i < 5; ++i) {
    Constant alone(1, likely);
    options.first_sentence = i;
    CHECK(same(sample(alone, options)[0], all[static_cast<size_t>(i)]));
  }
  options.first_sentence = 0;
  for (const int threads : {1, 2, 3}) {
    Executor executor({.threads = threads, .parallel_from = 0});
    const Executor::Use use(executor);
    const auto again = sample(together, options);
    for (size_t i = 0; i < 5; ++i) CHECK(same(again[i], all[i]));
  }
}

TEST_CASE("prefixes, texts without marks, and lengths") {
  Constant model(2, likely);
  const auto all = sample(model, {.key = Key{1},
                                  .samples = 2,
                                  .begin = -1,
                                  .end = -1,
                                  .length_extra = 6,
                                  .prefixes = {{7, 2}, {5}}});
  for (const Hypothesis& h : all[0]) {
    REQUIRE(h.tokens.size() == 6);
    CHECK(h.tokens[0] == 7);
    CHECK(h.tokens[1] == 2);
  }
  for (const Hypothesis& h : all[1]) CHECK(h.tokens[0] == 5);
  for (const auto& samples :
       sample(model, {.key = Key{1}, .samples = 40, .length_extra = 5, .min_length = 4})) {
    for (const Hypothesis& h : samples) {
      CHECK(h.tokens.size() >= 4);
      CHECK(h.tokens.size() <= 5);
    }
  }
}

TEST_CASE("what cannot be sampled") {
  Constant model(1, likely), none(0, likely);
  CHECK(sample(none, {.key = Key{1}}).empty());
  CHECK_THROWS_WITH(sample(model, {.key = Key{1}, .temperature = 0}), Contains("temperature"));
  CHECK_THROWS_WITH(sample(model, {.key = Key{1}, .top_p = 0}),
                    Contains("top_p is 0, expected a number in (0, 1]"));
  CHECK_THROWS_WITH(sample(model, {.key = Key{1}, .samples = 0}), Contains("samples"));
  // All that has a probability is forbidden.
  CHECK_THROWS_WITH(sample(model, {.key = Key{1}, .never = {1, 4, 5, 6, 7}, .min_length = 1}),
                    Contains("draw"));
}

}  // namespace
}  // namespace rapt
