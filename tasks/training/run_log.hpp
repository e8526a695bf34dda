// The log of a training run: a file with one JSON object per line, and curves drawn from it.
//
//   {"kind":"train","step":50,"loss":6.1,"lr":0.001,"gradient_norm":2.3,"speed":5600,"memory":412,...}
//   {"kind":"dev","step":453,"loss":4.2,"scores":[{"name":"BLEU","value":12.5,...}]}
//   {"kind":"note","step":453,"text":"best so far, saved"}
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/report/report.hpp"

namespace rapt::tasks {

/// Means over the steps since the last such line: loss per unit and gradient norm. The learning
/// rate is the last one.
struct TrainLine {
  std::int64_t step = 0;
  double loss = 0, lr = 0, gradient_norm = 0;
  double speed = 0;    // units per second
  double memory = 0;   // of the process, megabytes
  double seconds = 0;  // of training so far
};

/// A measure on the development set besides the loss: "BLEU", "word error rate" ...
struct Score {
  std::string name;
  double value = 0;
  bool higher_is_better = true;
};

struct DevLine {
  std::int64_t step = 0;
  double loss = 0;
  std::vector<Score> scores = {};
};

/// The parsed lines of a log.
struct RunHistory {
  std::vector<TrainLine> train;
  std::vector<DevLine> dev;
  std::vector<Note> notes;
};
/// Parses a log. Skips malformed lines, such as the truncated last line of a killed program.
RunHistory run_history(const std::string& log);

/// Returns curves of loss, scores, speed, learning rate, gradient norm and memory. Curves without
/// points are left out.
std::vector<CurvePanel> panels_of(const RunHistory& history, const std::string& unit);

/// The log of a run, in memory and in a file. Each line is appended in a single write, so a killed
/// program leaves a valid file.
class RunLog {
 public:
  /// Replaces the file's content by `text`: empty for a new run, or the log of a checkpoint. The
  /// latter drops the lines of later steps. Throws std::runtime_error if the file cannot be
  /// written.
  explicit RunLog(std::string path, std::string text = "");

  void add(const TrainLine& line);
  void add(const DevLine& line);
  void add(const Note& note);

  const std::string& text() const { return text_; }

 private:
  void append(const std::string& line);

  std::string path_, text_;
};

/// Means over the steps since the last line. Its members are public, so that they can be saved.
struct RunningMeans {
  std::int64_t steps = 0, tokens = 0;
  double loss = 0;           // sum over batches: mean loss times tokens
  double gradient_norm = 0;  // sum
  double seconds = 0;

  void add(double batch_loss, std::int64_t batch_tokens, double norm, double batch_seconds);
  /// Returns the line and resets the means.
  TrainLine take(std::int64_t step, double lr, double total_seconds);
};

/// Returns the resident memory of the process in megabytes; 0 if the system does not tell.
double resident_megabytes();

}  // namespace rapt::tasks
