#include "tasks/scores/resampling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "framework/core/random.hpp"

namespace rapt::tasks {

std::vector<double> bootstrap(const Metric& metric, const SentenceStatistics& statistics,
                              std::int64_t samples, std::uint64_t seed) {
  if (statistics.empty() || samples < 1) {
    throw std::invalid_argument("bootstrap: expected at least one sentence and one draw");
  }
  const auto count = static_cast<std::int64_t>(statistics.size());
  std::vector<double> scores;
  for (std::int64_t sample = 0; sample < samples; ++sample) {
    const Key key = Key{seed}.fold(static_cast<std::uint64_t>(sample));
    std::vector<double> sum(statistics.front().size(), 0);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto& one =
          statistics[static_cast<std::size_t>(key.below(count, static_cast<std::uint64_t>(i)))];
      for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += one[k];
    }
    scores.push_back(metric.score(sum, false));
  }
  return scores;
}

Interval interval_of(std::vector<double> scores) {
  std::sort(scores.begin(), scores.end());
  const std::size_t cut = scores.size() / 40;
  const double mean =
      std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
  return {mean, 0.5 * (scores[scores.size() - cut - 1] - scores[cut])};
}

double paired_p_value(std::span<const double> scores, std::span<const double> baseline,
                      double difference) {
  if (scores.size() != baseline.size() || scores.empty()) {
    throw std::invalid_argument("paired_p_value: expected equally many draws of both systems");
  }
  const auto count = static_cast<double>(scores.size());
  std::vector<double> differences;
  for (std::size_t i = 0; i < scores.size(); ++i) differences.push_back(scores[i] - baseline[i]);
  const double mean = std::accumulate(differences.begin(), differences.end(), 0.0) / count;
  const auto far = std::count_if(differences.begin(), differences.end(), [&](double one) {
    return std::abs(one - mean) >= std::abs(difference);
  });
  return (static_cast<double>(far) + 1) / (count + 1);
}

}  // namespace rapt::tasks
