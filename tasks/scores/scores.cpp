#include "tasks/scores/scores.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "tasks/scores/chrf.hpp"
#include "tasks/scores/ter.hpp"

namespace rapt::tasks {
namespace {

constexpr std::string_view version = "rapt-1";

void check_sizes(const Lines& hypotheses, std::span<const Lines> references) {
  if (references.empty()) throw std::invalid_argument("a score needs references");
  for (const Lines& set : references) {
    if (set.size() == hypotheses.size()) continue;
    throw std::invalid_argument(
        fmt::format("{} hypotheses, but {} references", hypotheses.size(), set.size()));
  }
}

BleuCounts counts_of(std::span<const double> statistics) {
  BleuCounts counts{};
  std::transform(statistics.begin(), statistics.end(), counts.begin(),
                 [](double x) { return static_cast<std::int64_t>(x); });
  return counts;
}

Metric bleu_metric(const ScoreOptions& options, std::size_t references) {
  return {
      .name = "BLEU",
      .signature = fmt::format("nrefs:{}|case:{}|eff:no|tok:{}|smooth:exp|version:{}", references,
                               options.lower ? "lc" : "mixed", name_of(options.tokens), version),
      .higher_is_better = true,
      .statistics =
          [options](const std::string& hypothesis, std::span<const std::string> right) {
            std::vector<std::vector<std::string>> tokens;
            for (const std::string& line : right) tokens.push_back(score_tokens(line, options));
            const BleuCounts counts = bleu_counts(score_tokens(hypothesis, options), tokens);
            return std::vector<double>(counts.begin(), counts.end());
          },
      .score =
          [](std::span<const double> statistics, bool sentence) {
            return bleu_of(counts_of(statistics), BleuSmoothing::exponential, sentence).score;
          }};
}

Metric chrf_metric(const ChrfOptions& options, std::size_t references) {
  return {.name = options.word_order > 0 ? "chrF2++" : "chrF2",
          .signature =
              fmt::format("nrefs:{}|case:{}|eff:yes|nc:6|nw:{}|space:no|version:{}", references,
                          options.lower ? "lc" : "mixed", options.word_order, version),
          .higher_is_better = true,
          .statistics =
              [options](const std::string& hypothesis, std::span<const std::string> right) {
                return chrf_statistics(hypothesis, right, options);
              },
          .score = [](std::span<const double> statistics, bool) { return chrf_of(statistics); }};
}

Metric ter_metric(std::size_t references) {
  return {
      .name = "TER",
      .signature = fmt::format("nrefs:{}|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:{}",
                               references, version),
      .higher_is_better = false,
      .statistics =
          [](const std::string& hypothesis, std::span<const std::string> right) {
            return ter_statistics(hypothesis, right, true);
          },
      .score = [](std::span<const double> statistics, bool) { return ter_of(statistics); }};
}

std::vector<double> sum_of(const std::vector<std::vector<double>>& statistics) {
  std::vector<double> sum;
  for (const std::vector<double>& one : statistics) {
    sum.resize(one.size());
    for (std::size_t i = 0; i < one.size(); ++i) sum[i] += one[i];
  }
  return sum;
}

}  // namespace

Metric metric_named(std::string_view name, const ScoreOptions& options, std::size_t references) {
  if (name == "bleu") return bleu_metric(options, references);
  if (name == "chrf") return chrf_metric({.lower = options.lower}, references);
  if (name == "chrf++") return chrf_metric({.lower = options.lower, .word_order = 2}, references);
  if (name == "ter") return ter_metric(references);
  throw std::invalid_argument(fmt::format("'{}' is no score", name));
}

std::vector<std::vector<double>> statistics_of(const Metric& metric, const Lines& hypotheses,
                                               std::span<const Lines> references) {
  check_sizes(hypotheses, references);
  std::vector<std::vector<double>> all;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    Lines right;
    for (const Lines& set : references) right.push_back(set[i]);
    all.push_back(metric.statistics(hypotheses[i], right));
  }
  return all;
}

double corpus_score(const Metric& metric, const std::vector<std::vector<double>>& statistics) {
  if (statistics.empty()) return 0;
  return metric.score(sum_of(statistics), false);
}

Bleu score_bleu(const Lines& hypotheses, std::span<const Lines> references,
                const ScoreOptions& options) {
  check_sizes(hypotheses, references);
  const Metric metric = bleu_metric(options, references.size());
  const auto statistics = statistics_of(metric, hypotheses, references);
  return bleu_of(statistics.empty() ? BleuCounts{} : counts_of(sum_of(statistics)),
                 BleuSmoothing::exponential);
}

double score_chrf(const Lines& hypotheses, std::span<const Lines> references, bool lower,
                  int word_order) {
  const Metric metric = chrf_metric({.lower = lower, .word_order = word_order}, references.size());
  return corpus_score(metric, statistics_of(metric, hypotheses, references));
}

}  // namespace rapt::tasks
