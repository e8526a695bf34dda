// Scores of translations as sacrebleu defines them (Post 2018), comparable with published figures.
// They read plain text and split it into their own tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/scores/bleu.hpp"
#include "tasks/scores/score_tokens.hpp"

namespace rapt::tasks {

using Lines = std::vector<std::string>;

/// Returns the BLEU of lines of text, with sacrebleu's smoothing (exp). references[k] are all lines
/// of the k-th reference. Throws std::invalid_argument as corpus_bleu does.
Bleu score_bleu(const Lines& hypotheses, std::span<const Lines> references,
                const ScoreOptions& options);

/// Returns chrF2 (Popovic 2015), 0 .. 100; see chrf_of(). `word_order` 2 gives chrF2++. Throws
/// std::invalid_argument as score_bleu does.
double score_chrf(const Lines& hypotheses, std::span<const Lines> references, bool lower,
                  int word_order = 0);

/// A score as a function of numbers per sentence. The score of a corpus is that of their sum.
struct Metric {
  std::string name;       // BLEU, chrF2, chrF2++ or TER
  std::string signature;  // should accompany a figure; its last part names this implementation
  bool higher_is_better = true;
  std::function<std::vector<double>(const std::string& hypothesis, std::span<const std::string>)>
      statistics;
  /// `sentence` is true for the score of one sentence. BLEU then leaves out the orders that the
  /// sentence is too short for.
  std::function<double(std::span<const double> statistics, bool sentence)> score;
};

/// Returns the metric of that name: bleu, chrf, chrf++ or ter. `references` is their number, for
/// the signature. TER ignores case, as in sacrebleu. Throws std::invalid_argument.
Metric metric_named(std::string_view name, const ScoreOptions& options, std::size_t references);

/// Returns the statistics of each sentence. Throws std::invalid_argument as score_bleu does.
std::vector<std::vector<double>> statistics_of(const Metric& metric, const Lines& hypotheses,
                                               std::span<const Lines> references);
/// Returns the score of a corpus.
double corpus_score(const Metric& metric, const std::vector<std::vector<double>>& statistics);

}  // namespace rapt::tasks
