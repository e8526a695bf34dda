// How sure a score is: bootstrap resampling of the sentences of a test set (Koehn 2004).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tasks/scores/scores.hpp"

namespace rapt::tasks {

using SentenceStatistics = std::vector<std::vector<double>>;

/// Draws as many sentences as there are, with replacement, and scores them; `samples` times. The
/// sentences of a draw depend on the seed, the number of the draw and the number of sentences only.
/// So draws for several systems have the same sentences. Throws std::invalid_argument without
/// sentences or draws.
std::vector<double> bootstrap(const Metric& metric, const SentenceStatistics& statistics,
                              std::int64_t samples, std::uint64_t seed);

/// The middle 95 % of the draws: mean and half of the width.
struct Interval {
  double mean = 0, half_width = 0;
};
Interval interval_of(std::vector<double> scores);

/// Returns the p-value of the difference between two systems on the same test set, as sacrebleu's
/// paired bootstrap. It is the share of draws whose difference is as far from the mean difference
/// as the real difference is from 0, with 1 added to both counts. `difference` is that of the whole
/// test set. Throws std::invalid_argument if the numbers of draws differ.
double paired_p_value(std::span<const double> scores, std::span<const double> baseline,
                      double difference);

}  // namespace rapt::tasks
