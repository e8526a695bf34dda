#include "tasks/training/run_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace rapt::tasks {
namespace {

std::string with_commas(std::int64_t n) {
  std::string text = std::to_string(n);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

/// Returns the best value of each dev measure.
std::vector<Fact> best_of(const std::vector<DevLine>& dev) {
  std::vector<Fact> facts;
  for (std::size_t i = 0; i < dev.front().scores.size(); ++i) {
    Score best = dev.front().scores[i];
    for (const DevLine& line : dev) {
      if (i >= line.scores.size()) continue;
      const double value = line.scores[i].value;
      if (best.higher_is_better ? value > best.value : value < best.value) best.value = value;
    }
    facts.push_back({"best dev " + best.name, fmt::format("{:.1f}", best.value)});
  }
  double loss = INFINITY;
  for (const DevLine& line : dev) loss = std::min(loss, line.loss);
  facts.push_back({"best dev loss", fmt::format("{:.3f}", loss)});
  return facts;
}

}  // namespace

void write_run_report(const std::string& folder, Task& task, const RunLog& log,
                      const RunFacts& run) {
  const RunHistory history = run_history(log.text());
  std::vector<Fact> facts;
  if (!history.dev.empty()) {
    facts = best_of(history.dev);
    facts.push_back({"best " + run.measured,
                     fmt::format("{} of {}", with_commas(run.best), with_commas(run.all))});
  }
  double speed = 0;
  for (const TrainLine& line : history.train) {
    speed += line.speed / static_cast<double>(history.train.size());
  }
  if (!history.train.empty()) {
    const TrainLine& last = history.train.back();
    facts.push_back({"steps", with_commas(last.step)});
    facts.push_back({"training", fmt::format("{:.1f} min", last.seconds / 60)});
    facts.push_back({run.unit + " a second", with_commas(std::llround(speed))});
  }
  facts.push_back(
      {"parameters", fmt::format("{:.2f} M", static_cast<double>(count(task.parameters())) / 1e6)});

  const std::vector<CurvePanel> panels = panels_of(history, run.unit);
  std::vector<ReportView> views{facts_view(facts)};
  if (!panels.empty()) views.push_back(curves_view("Training", "step", panels));
  for (ReportView& view : task.views()) views.push_back(std::move(view));
  views.push_back(notes_view("Decisions", history.notes));
  const std::string name = std::filesystem::path(run.model).lexically_normal().filename().string();
  write_report(folder, report_page(name.empty() ? run.model : name, task.summary(), views));
}

}  // namespace rapt::tasks
