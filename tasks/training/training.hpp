// The training loop. A Task defines what is learned; the rest is here: schedule, optimizer,
// checkpoints, resuming, early stopping, log and report.
//
//   run_training({.model = "folder", .epochs = 20, .best_by = "accuracy", .patience = 3},
//                [] { return std::make_unique<MyTask>(); });
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/random.hpp"
#include "framework/files/checkpoint.hpp"
#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"
#include "tasks/draw/progress.hpp"
#include "tasks/report/report.hpp"
#include "tasks/training/run_log.hpp"
#include "tasks/training/run_state.hpp"
#include "tasks/training/task.hpp"

namespace rapt::tasks {

struct TrainingOptions {
  std::string program = "training";  // for messages: "translate"
  std::string unit = "tokens";
  std::string model = {};  // folder
  std::int64_t epochs = 10;
  double lr = 1e-3;
  std::string schedule = "cosine";
  std::int64_t warmup = 500;
  double beta2 = 0.999;
  double weight_decay = 0;
  double clip_norm = 1;
  std::string best_by = "loss";  // or the name of a score in lower case
  std::int64_t patience = 0;     // 0: never stop early
  std::int64_t keep = 0;         // number of last epochs whose checkpoints are kept
  int threads = 0;
  std::uint64_t seed = 1;
  Resume resume = Resume::automatic;
  double checkpoint_minutes = 10;
  std::int64_t skip_nonfinite = 2;  // allowed consecutive non-finite batches
  std::int64_t log_every = 50;      // steps
  std::string report = {};          // a folder; empty: none
  bool quiet = false;               // true: prints nothing; the log is written anyway
  bool catch_interrupt = true;      // Ctrl-C ends the epoch's step and saves
  /// All arguments that the result depends on, as given. A resumed run must have the same ones.
  /// Empty: the options above that change what is learned.
  RunOptions chosen = {};
};

class TrainingRun {
 public:
  /// Makes the task after checking that the folder's run may be resumed or begun. Throws Error if
  /// it may not, and for an unknown schedule.
  TrainingRun(TrainingOptions options, const std::function<std::unique_ptr<Task>()>& make);

  /// Trains until the epochs are done, patience runs out, or Ctrl-C. The next run resumes a run
  /// ended by Ctrl-C or a kill from its last checkpoint. Its result is bit-identical to an
  /// uninterrupted run.
  void run();

 private:
  using Clock = std::chrono::steady_clock;

  /// Runs the rest of the epoch. Returns false if Ctrl-C ended it.
  bool run_epoch(Progress& progress);
  bool interrupted() const { return interrupt_ && interrupt_->requested(); }
  /// Prints a line, unless the run is quiet.
  void say(const std::string& text) const;
  /// Makes one update, or none if the loss or its gradient is not finite.
  void update(const Batch& batch, Progress& progress);
  /// Saves a non-finite batch. Throws Error after more consecutive ones than the options allow.
  void skip(const Batch& batch, Key key, double loss, Progress& progress);
  void resume_from(const CheckpointFolder::Latest& latest);
  void save_checkpoint(bool best = false);
  /// Writes training.json beside the model: how it was trained, and its scores.
  void describe(const DevScores& dev) const;
  /// Prints a line and adds it to the log.
  void tell(Progress& progress, const std::string& text);
  /// Returns the value of the measure that selects the best epoch, as a score.
  Score chosen_score(const DevScores& dev) const;
  /// Measures, saves the model if it is better, and reports. Returns false if training is over.
  bool end_epoch(Progress& progress);
  void keep_checkpoint(Progress& progress);
  void write_report();

  TrainingOptions options_;
  CheckpointFolder checkpoints_;
  std::unique_ptr<Task> task_;
  std::int64_t steps_per_epoch_ = 0;
  schedules::Schedule rate_;
  std::optional<AdamW> adam_;
  std::optional<RunLog> log_;
  RunState state_;
  Clock::time_point saved_ = Clock::now();
  double seconds_ = 0;      // of this epoch's training
  std::int64_t units_ = 0;  // processed in these seconds
  double padding_ = 0;
  std::optional<Interrupt> interrupt_;  // while run() runs
};

/// Makes a TrainingRun with an executor of the options' number of threads, and runs it. Returns 0,
/// the exit code of a program.
int run_training(const TrainingOptions& options,
                 const std::function<std::unique_ptr<Task>()>& make);

}  // namespace rapt::tasks
