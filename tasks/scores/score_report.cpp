#include "tasks/scores/score_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace rapt::tasks {

std::vector<SystemScores> score_systems(std::span<const System> systems,
                                        std::span<const Lines> references,
                                        const ScoreReportOptions& options) {
  std::vector<SystemScores> all;
  for (const System& system : systems) all.push_back({system.name, {}});
  for (const std::string& name : options.metrics) {
    const Metric metric = metric_named(name, options.tokens, references.size());
    double first_score = 0;
    std::vector<double> first_draws;
    for (std::size_t s = 0; s < systems.size(); ++s) {
      const SentenceStatistics statistics = statistics_of(metric, systems[s].lines, references);
      ScoreEntry entry{.name = metric.name,
                       .signature = metric.signature,
                       .score = corpus_score(metric, statistics),
                       .details = {},
                       .interval = {},
                       .p_value = {},
                       .sentences = {}};
      if (name == "bleu") {
        entry.details = score_bleu(systems[s].lines, references, options.tokens).line();
      }
      if (options.sentences) {
        for (const auto& one : statistics) entry.sentences.push_back(metric.score(one, true));
      }
      if (options.bootstrap > 0) {
        std::vector<double> draws = bootstrap(metric, statistics, options.bootstrap, options.seed);
        entry.interval = interval_of(draws);
        if (s == 0) {
          first_score = entry.score;
          first_draws = std::move(draws);
        } else {
          entry.p_value = paired_p_value(draws, first_draws, entry.score - first_score);
        }
      }
      all[s].scores.push_back(std::move(entry));
    }
  }
  return all;
}

std::string to_text(std::span<const SystemScores> systems) {
  std::string text;
  for (const SystemScores& system : systems) {
    if (systems.size() > 1) text += fmt::format("{}\n", system.system);
    const std::size_t lines = system.scores.empty() ? 0 : system.scores.front().sentences.size();
    if (lines > 0) {
      text += "line";
      for (const ScoreEntry& entry : system.scores) text += '\t' + entry.name;
      text += '\n';
    }
    for (std::size_t i = 0; i < lines; ++i) {
      text += std::to_string(i + 1);
      for (const ScoreEntry& entry : system.scores) {
        text += fmt::format("\t{:.2f}", entry.sentences[i]);
      }
      text += '\n';
    }
    for (const ScoreEntry& entry : system.scores) {
      text += entry.details.empty() ? fmt::format("{} = {:.2f}", entry.name, entry.score)
                                    : entry.details;
      if (entry.interval) {
        text += fmt::format("; 95% within {:.2f} +- {:.2f}", entry.interval->mean,
                            entry.interval->half_width);
      }
      if (entry.p_value) {
        text += fmt::format("; p = {:.4f} against {}", *entry.p_value, systems.front().system);
      }
      text += fmt::format("\n{}|{}\n", entry.name, entry.signature);
    }
  }
  return text;
}

std::string to_json(std::span<const SystemScores> systems) {
  using Json = nlohmann::ordered_json;
  Json all = Json::array();
  for (const SystemScores& system : systems) {
    Json scores = Json::array();
    for (const ScoreEntry& entry : system.scores) {
      Json one{{"name", entry.name}, {"score", entry.score}, {"signature", entry.signature}};
      if (!entry.details.empty()) one["details"] = entry.details;
      if (entry.interval) {
        one["mean"] = entry.interval->mean;
        one["half_width"] = entry.interval->half_width;
      }
      if (entry.p_value) one["p_value"] = *entry.p_value;
      if (!entry.sentences.empty()) one["sentences"] = entry.sentences;
      scores.push_back(std::move(one));
    }
    all.push_back({{"system", system.system}, {"scores", std::move(scores)}});
  }
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace rapt::tasks
