// What happened in a training run: a file with one JSON object a line, and curves made of it.
//
//   {"kind":"train","step":50,"loss":6.1,"lr":0.001,"gradient_norm":2.3,"speed":5600,"memory":412,...}
//   {"kind":"dev","step":453,"loss":4.2,"scores":[{"name":"BLEU","value":12.5,...}]}
//   {"kind":"note","step":453,"text":"best so far, saved"}
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/common/report/report.hpp"

namespace rapt::examples {

/// The steps since the last such line: the means of the loss (per unit) and of the gradient's
/// norm, the last learning rate.
struct TrainLine {
  std::int64_t step = 0;
  double loss = 0, lr = 0, gradient_norm = 0;
  double speed = 0;    // units a second
  double memory = 0;   // of the process, megabytes
  double seconds = 0;  // of training so far
};

/// A measure of the development set beside the loss: "BLEU", "word error rate" ...
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

/// The lines of a log, taken apart.
struct RunHistory {
  std::vector<TrainLine> train;
  std::vector<DevLine> dev;
  std::vector<Note> notes;
};
/// Lines that are no such objects, as the cut last line of a killed program, are passed over.
RunHistory run_history(const std::string& log);

/// Curves of loss, scores, speed, learning rate, gradient and memory; those that there are points
/// of.
std::vector<CurvePanel> panels_of(const RunHistory& history, const std::string& unit);

/// The log of a run, in memory and in a file. A line reaches the file whole, in one write, so that
/// a killed program leaves a valid file.
class RunLog {
 public:
  /// Puts `text` in the file's place: nothing for a new run, or the log of a checkpoint, which
  /// drops the lines of steps after it. Throws std::runtime_error where the file cannot be written.
  explicit RunLog(std::string path, std::string text = "");

  void add(const TrainLine& line);
  void add(const DevLine& line);
  void add(const Note& note);

  const std::string& text() const { return text_; }

 private:
  void append(const std::string& line);

  std::string path_, text_;
};

/// Means over the steps since the last line; public members, so that they can be saved.
struct RunningMeans {
  std::int64_t steps = 0, tokens = 0;
  double loss = 0;           // sum of a batch's mean times its tokens
  double gradient_norm = 0;  // sum
  double seconds = 0;

  void add(double batch_loss, std::int64_t batch_tokens, double norm, double batch_seconds);
  /// The line, and a new start.
  TrainLine take(std::int64_t step, double lr, double total_seconds);
};

/// What the process holds of memory now, in megabytes; 0 where the system does not tell.
double resident_megabytes();

}  // namespace rapt::examples
