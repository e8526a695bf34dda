// Scores of one or several systems, as lines of text or as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tasks/scores/resampling.hpp"
#include "tasks/scores/scores.hpp"

namespace rapt::tasks {

/// One score of one system.
struct ScoreEntry {
  std::string name, signature;
  double score = 0;
  std::string details;               // the parts of BLEU; empty for others
  std::optional<Interval> interval;  // of the bootstrap
  std::optional<double> p_value;     // of the difference from the first system
  std::vector<double> sentences;     // scores of the sentences, if wanted
};

struct SystemScores {
  std::string system;  // the file's name
  std::vector<ScoreEntry> scores;
};

struct ScoreReportOptions {
  std::vector<std::string> metrics = {"bleu"};  // names for metric_named()
  ScoreOptions tokens;
  std::int64_t bootstrap = 0;  // draws; 0: no intervals
  std::uint64_t seed = 12345;
  bool sentences = false;
};

struct System {
  std::string name;
  Lines lines;
};

/// Scores each system against the same references. With `bootstrap`, each score has an interval,
/// and each system but the first has p-values of its difference from the first. Throws
/// std::invalid_argument as score_bleu does.
std::vector<SystemScores> score_systems(std::span<const System> systems,
                                        std::span<const Lines> references,
                                        const ScoreReportOptions& options);

/// Returns lines such as "chrF2 = 59.67 +- 1.02 (p = 0.0120)", each followed by its signature.
/// Scores of sentences come first, in columns separated by tabs with a line of names above.
std::string to_text(std::span<const SystemScores> systems);
/// Returns a JSON array with an object per system.
std::string to_json(std::span<const SystemScores> systems);

}  // namespace rapt::tasks
