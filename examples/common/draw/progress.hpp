// What a training loop shows on the terminal, and how Ctrl-C ends it.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace rapt::examples {

struct ProgressOptions {
  int fd = 2;                  // where to write: stderr
  std::int64_t start = 0;      // the steps that an earlier, resumed run has done
  std::string unit = "steps";  // what count() counts, for the rate
  std::chrono::milliseconds line_interval{10'000};  // between lines where fd is no terminal
};

/// Shows how far a loop is: bar, percent, the caller's numbers, rate, time left. On a terminal it
/// redraws one line, at most ten times a second and never wider than the window; elsewhere it
/// writes a plain line at most every line_interval, and one at the end. Never throws for lack of a
/// reader.
///
///   Progress bar(steps, "train", {.unit = "words"});
///   for (...) { ...; bar.count(words); bar.update(step, {{"loss", loss}}); }
class Progress {
 public:
  struct Field {
    std::string_view name;
    double value;
  };

  /// `total` steps in all; 0 when nobody knows, which leaves out bar, percent and time left.
  Progress(std::int64_t total, std::string label, ProgressOptions options = {});

  /// Writes the last state and ends the line. The cursor is never hidden, so that there is nothing
  /// to put back when the program is killed.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Adds to the work done, in options.unit. Without it, the rate is in steps.
  void count(std::int64_t units);

  /// `done` steps of the total.
  void update(std::int64_t done, std::initializer_list<Field> fields = {});

  /// A line of text of its own, above the bar.
  void message(std::string_view text);

 private:
  using Clock = std::chrono::steady_clock;

  void measure_rate(Clock::time_point now);
  std::string numbers(Clock::time_point now, bool last) const;
  void draw(bool last);
  void draw_terminal(const std::string& numbers);
  void write(std::string_view text) const;

  std::int64_t total_, done_;
  std::string label_;
  ProgressOptions options_;
  bool terminal_, unicode_;
  bool drawn_ = false;
  std::string fields_;
  bool counted_ = false;
  std::int64_t units_ = 0;  // done so far: what count() got, else steps
  double rate_ = 0;         // units a second, of late
  std::int64_t rate_units_ = 0;
  Clock::time_point begun_, rate_time_, drawn_time_;
};

/// While it lives, Ctrl-C (SIGINT) only sets a flag, so that a loop can finish its step and save;
/// a second Ctrl-C ends the program at once. Where SIGINT was ignored, as under nohup, it stays so.
/// There can be one at a time: a second one throws std::logic_error.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  bool requested() const noexcept;
};

}  // namespace rapt::examples
