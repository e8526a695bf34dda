// Beam search against searching through everything.
#include <algorithm>
#include <cmath>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/models/beam_search.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/shape.hpp>
#include <rapt/ops/softmax.hpp>

#include "catch.hpp"

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
  for (const uint64_t seed : {1, 2, 3}) {
    const Transformer model = tiny(seed);
    for (const LengthNorm norm : {LengthNorm::none, LengthNorm::power, LengthNorm::gnmt}) {
      for (const Stop stop : {Stop::exact, Stop::enough}) {
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

}  // namespace
}  // namespace rapt
