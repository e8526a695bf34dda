// Progress display of a training loop, and a clean stop on Ctrl-C and the like.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace rapt::tasks {

struct ProgressOptions {
  int fd = 2;                                       // output file descriptor: stderr
  std::int64_t start = 0;                           // steps done by an earlier run that is resumed
  std::string unit = "steps";                       // unit of count(), for the rate
  std::chrono::milliseconds line_interval{10'000};  // between lines if fd is not a terminal
};

/// Shows the progress of a loop: bar, percent, the caller's numbers, rate, time left. On a terminal
/// it redraws one line, at most ten times per second and never wider than the window. Elsewhere it
/// writes a plain line at most every line_interval, and one at the end. A closed output is no
/// error.
///
///   Progress bar(steps, "train", {.unit = "words"});
///   for (...) { ...; bar.count(words); bar.update(step, {{"loss", loss}}); }
class Progress {
 public:
  struct Field {
    std::string_view name;
    double value;
  };

  /// `total` is the number of steps; 0 if unknown, which leaves out bar, percent and time left.
  Progress(std::int64_t total, std::string label, ProgressOptions options = {});

  /// Writes the last state and ends the line. The cursor is never hidden, so a killed program
  /// leaves the terminal intact.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Adds to the work done, in options.unit. If it is never called, the rate is in steps.
  void count(std::int64_t units);

  /// Sets the number of steps done.
  void update(std::int64_t done, std::initializer_list<Field> fields = {});

  /// Prints a line of text above the bar.
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
  std::int64_t units_ = 0;  // done so far: sum of count(), else steps
  double rate_ = 0;         // recent units per second
  std::int64_t rate_units_ = 0;
  Clock::time_point begun_, rate_time_, drawn_time_;
};

/// During its lifetime, Ctrl-C (SIGINT), SIGTERM and SIGHUP only set a flag, so that a loop can
/// finish its step and save. Batch systems send SIGTERM, a lost connection SIGHUP. The same signal
/// again ends the program at once. A signal that was ignored, as under nohup, stays ignored. Only
/// one may exist at a time: a second one throws std::logic_error.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  bool requested() const noexcept;
  /// Returns the number of the last signal; 0 if there was none.
  int signal() const noexcept;
  /// Returns the signal as text: "Ctrl-C", "SIGTERM" ...
  std::string cause() const;
};

}  // namespace rapt::tasks
