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
  // A run ends with the first of its limits, or by patience. 0: no limit.
  std::int64_t epochs = 10;
  std::int64_t max_steps = 0;
  double max_hours = 0;            // of training
  std::int64_t measure_every = 0;  // steps between measures; 0: one after each epoch
  double lr = 1e-3;
  std::string schedule = "cosine";
  std::int64_t warmup = -1;  // steps; -1: 500, but at most a tenth of all
  double beta2 = 0.999;
  double weight_decay = 0;
  double clip_norm = 1;
  std::string best_by = "loss";  // or the name of a score in lower case
  std::int64_t patience = 0;     // measures without a better one that end the run; 0: never
  std::int64_t keep = 0;         // number of last measures whose models are kept
  int threads = 0;
  std::uint64_t seed = 1;
  Resume resume = Resume::automatic;
  bool overwrite = false;      // true: a new run replaces what is there: a model, or a run
  std::string init_from = {};  // folder of a model whose parameters are the first; empty: none
  double checkpoint_minutes = 10;
  std::int64_t skip_nonfinite = 2;  // allowed consecutive non-finite batches
  std::int64_t log_every = 50;      // steps
  std::string report = {};          // a folder; empty: none
  bool quiet = false;               // true: prints nothing; the log is written anyway
  bool catch_interrupt = true;      // Ctrl-C, SIGTERM and SIGHUP end the current step and save
  /// All arguments that the result depends on, as given. A resumed run must have the same ones.
  /// Empty: the options above that change what is learned.
  RunOptions chosen = {};
  /// Names in `chosen` that a resumed run may have otherwise: its limits, and paths of data.
  std::vector<std::string> free = {};
  std::string config = {};  // text of options.toml, which is written beside the model; empty: none
};

class TrainingRun {
 public:
  /// Locks the folder, checks that its run may be resumed or begun and that all can be written, and
  /// then makes the task. Throws Error if another process trains there, if a model would be
  /// overwritten, if the run there has other options or data, and for an unknown schedule.
  TrainingRun(TrainingOptions options, const std::function<std::unique_ptr<Task>()>& make);

  /// Trains until a limit is reached, patience runs out, or a signal. The next run resumes a run
  /// that was ended by a signal from its last checkpoint. Its result is bit-identical to an
  /// uninterrupted run. A finished run stays as it is, unless its limits have grown. Returns 0, or
  /// 128 plus the number of the signal.
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  /// Checks what can be checked before the data are read, and locks the folder.
  std::optional<CheckpointFolder::Latest> prepare();
  /// Sets the limits and the schedule, which follow from the number of batches.
  void schedule();
  void begin();
  /// Runs the rest of the epoch. Returns false if the run is over or a signal ended it.
  bool run_epoch(Progress& progress);
  /// Returns true if a limit of the run is reached.
  bool at_limit() const;
  bool is_patient() const;
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
  /// Returns the point of the last measure: "epoch 3" or "step 1200".
  std::string point(std::int64_t epoch, std::int64_t step) const;
  /// Measures, saves the model if it is better, and reports. Finds out whether training is over.
  void measure(Progress& progress);
  void keep_model(Progress& progress);
  void write_report();

  TrainingOptions options_;
  CheckpointFolder checkpoints_;
  std::unique_ptr<Task> task_;
  std::string digest_;  // of the data and the first model
  std::int64_t steps_per_epoch_ = 0;
  std::int64_t last_step_ = 0;  // where the limits of epochs and steps end the run; 0: nowhere
  schedules::Schedule rate_;
  std::optional<AdamW> adam_;
  std::optional<RunLog> log_;
  RunState state_;
  Clock::time_point saved_ = Clock::now();
  double seconds_ = 0;      // of training since the last measure
  std::int64_t units_ = 0;  // processed in these seconds
  double padding_ = 0;
  std::optional<Interrupt> interrupt_;  // while run() runs
};

/// Makes a TrainingRun with an executor of the options' number of threads, and runs it. Returns the
/// exit code of a program.
int run_training(const TrainingOptions& options,
                 const std::function<std::unique_ptr<Task>()>& make);

}  // namespace rapt::tasks
