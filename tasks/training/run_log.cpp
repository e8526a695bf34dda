#include "tasks/training/run_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "tasks/data/files.hpp"

namespace rapt::tasks {
namespace {

using Json = nlohmann::ordered_json;

/// Returns a number of a line. JSON has no infinities: they are written as null and read as NaN.
double number(const Json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_number() ? found->get<double>() : NAN;
}

std::vector<Score> scores_of(const Json& line) {
  std::vector<Score> scores;
  const auto found = line.find("scores");
  if (found == line.end() || !found->is_array()) return scores;
  for (const Json& score : *found) {
    if (!score.is_object() || !score.contains("name") || !score["name"].is_string()) continue;
    scores.push_back({score["name"].get<std::string>(), number(score, "value"),
                      score.contains("higher_is_better") && score["higher_is_better"] == true});
  }
  return scores;
}

template <class Lines, class Value>
void add_curve(std::vector<CurvePanel>& panels, const std::string& title, const std::string& name,
               const Lines& lines, const Value& value) {
  Series series{name, {}, {}};
  for (const auto& line : lines) {
    if (!std::isfinite(value(line))) continue;
    series.x.push_back(static_cast<double>(line.step));
    series.y.push_back(value(line));
  }
  if (series.x.empty()) return;
  if (panels.empty() || panels.back().title != title) panels.push_back({title, {}});
  panels.back().series.push_back(std::move(series));
}

}  // namespace

RunHistory run_history(const std::string& log) {
  RunHistory history;
  for (std::size_t begin = 0; begin < log.size();) {
    const std::size_t end = std::min(log.find('\n', begin), log.size());
    const Json line = Json::parse(log.begin() + static_cast<std::ptrdiff_t>(begin),
                                  log.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    begin = end + 1;
    if (!line.is_object() || !line.contains("kind") || !line.contains("step") ||
        !line["step"].is_number_integer()) {
      continue;
    }
    const auto step = line["step"].get<std::int64_t>();
    if (line["kind"] == "train") {
      history.train.push_back({.step = step,
                               .loss = number(line, "loss"),
                               .lr = number(line, "lr"),
                               .gradient_norm = number(line, "gradient_norm"),
                               .speed = number(line, "speed"),
                               .memory = number(line, "memory"),
                               .seconds = number(line, "seconds")});
    } else if (line["kind"] == "dev") {
      history.dev.push_back({step, number(line, "loss"), scores_of(line)});
    } else if (line["kind"] == "note" && line.contains("text") && line["text"].is_string()) {
      history.notes.push_back({step, line["text"].get<std::string>()});
    }
  }
  return history;
}

std::vector<CurvePanel> panels_of(const RunHistory& history, const std::string& unit) {
  std::vector<CurvePanel> panels;
  const auto& train = history.train;
  add_curve(panels, "Loss", "training", train, [](const TrainLine& l) { return l.loss; });
  add_curve(panels, "Loss", "dev", history.dev, [](const DevLine& l) { return l.loss; });
  const std::size_t scores = history.dev.empty() ? 0 : history.dev.front().scores.size();
  for (std::size_t i = 0; i < scores; ++i) {
    add_curve(panels, history.dev.front().scores[i].name, "dev", history.dev,
              [&](const DevLine& l) { return i < l.scores.size() ? l.scores[i].value : NAN; });
  }
  add_curve(panels, "Speed", unit + " a second", train, [](const TrainLine& l) { return l.speed; });
  add_curve(panels, "Learning rate", "", train, [](const TrainLine& l) { return l.lr; });
  add_curve(panels, "Norm of the gradient", "mean", train,
            [](const TrainLine& l) { return l.gradient_norm; });
  add_curve(panels, "Memory", "MB", train, [](const TrainLine& l) { return l.memory; });
  return panels;
}

RunLog::RunLog(std::string path, std::string text)
    : path_(std::move(path)), text_(std::move(text)) {
  write_file_atomically(path_, text_);
}

void RunLog::append(const std::string& line) {
  const int fd = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) {
    throw std::runtime_error(
        fmt::format("cannot open {}: {}", path_, std::generic_category().message(errno)));
  }
  ssize_t written = 0;
  do {
    written = ::write(fd, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  const int error = errno;
  ::close(fd);
  if (written != static_cast<ssize_t>(line.size())) {
    throw std::runtime_error(fmt::format(
        "cannot write {}: {}", path_,
        written < 0 ? std::generic_category().message(error) : "no room for a whole line"));
  }
  text_ += line;
}

void RunLog::add(const TrainLine& line) {
  const Json json{{"kind", "train"},
                  {"step", line.step},
                  {"loss", line.loss},
                  {"lr", line.lr},
                  {"gradient_norm", line.gradient_norm},
                  {"speed", std::round(line.speed * 10) / 10},
                  {"memory", std::round(line.memory * 10) / 10},
                  {"seconds", std::round(line.seconds * 1000) / 1000}};
  append(json.dump() + "\n");
}

void RunLog::add(const DevLine& line) {
  Json scores = Json::array();
  for (const Score& score : line.scores) {
    scores.push_back(Json{{"name", score.name},
                          {"value", score.value},
                          {"higher_is_better", score.higher_is_better}});
  }
  const Json json{{"kind", "dev"}, {"step", line.step}, {"loss", line.loss}, {"scores", scores}};
  append(json.dump() + "\n");
}

void RunLog::add(const Note& note) {
  const Json json{{"kind", "note"}, {"step", note.step}, {"text", note.text}};
  append(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void RunningMeans::add(double batch_loss, std::int64_t batch_tokens, double norm,
                       double batch_seconds) {
  ++steps;
  tokens += batch_tokens;
  loss += batch_loss * static_cast<double>(batch_tokens);
  gradient_norm += norm;
  seconds += batch_seconds;
}

TrainLine RunningMeans::take(std::int64_t step, double lr, double total_seconds) {
  const TrainLine line{.step = step,
                       .loss = loss / static_cast<double>(tokens),
                       .lr = lr,
                       .gradient_norm = gradient_norm / static_cast<double>(steps),
                       .speed = static_cast<double>(tokens) / seconds,
                       .memory = resident_megabytes(),
                       .seconds = total_seconds};
  *this = {};
  return line;
}

double resident_megabytes() {
  std::ifstream status("/proc/self/statm");
  double total = 0, resident = 0;
  if (!(status >> total >> resident)) return 0;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

}  // namespace rapt::tasks
