// The training loop of the programs: what it learns is a Task's, everything else is here.
//
//   TrainingRun(options, [&] { return std::make_unique<TranslationTask>(...); }).run();
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "examples/common/draw/progress.hpp"
#include "examples/common/report/report.hpp"
#include "examples/common/training/run_log.hpp"
#include "examples/common/training/run_state.hpp"
#include "examples/common/training/task.hpp"
#include "framework/core/random.hpp"
#include "framework/files/checkpoint.hpp"
#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"

namespace rapt::examples {

struct TrainingOptions {
  std::string program;  // for messages: "translate"
  std::string unit = "tokens";
  std::string model;  // folder
  std::int64_t epochs = 10;
  double lr = 1e-3;
  std::string schedule = "cosine";
  std::int64_t warmup = 500;
  double beta2 = 0.999;
  double weight_decay = 0;
  double clip_norm = 1;
  std::string best_by = "loss";  // or a score's name, in small letters
  std::int64_t patience = 0;     // 0: never stop early
  std::int64_t keep = 0;         // checkpoints of the last epochs
  int threads = 0;
  std::uint64_t seed = 1;
  Resume resume = Resume::automatic;
  double checkpoint_minutes = 10;
  std::int64_t skip_nonfinite = 2;  // batches in a row
  std::int64_t log_every = 50;      // steps
  std::string report;               // a folder; empty: none
  /// All of the command line that the result depends on, as given: what a resumed run has to agree
  /// in.
  RunOptions chosen;
};

class TrainingRun {
 public:
  /// Makes the task, once it is clear that the folder's run may be continued or begun. Throws Error
  /// where it may not.
  TrainingRun(TrainingOptions options, const std::function<std::unique_ptr<Task>()>& make);

  /// Learns until the epochs are over, patience is at an end, or Ctrl-C. What Ctrl-C or a kill ends
  /// goes on from its last checkpoint the next time, to the bit as if it had not been stopped.
  void run();

 private:
  using Clock = std::chrono::steady_clock;

  /// The rest of the epoch; false where Ctrl-C ended it.
  bool run_epoch(Progress& progress, const Interrupt& interrupt);
  /// One update, or none where the loss or its gradient is not finite.
  void update(const Batch& batch, Progress& progress);
  /// Puts the batch aside; the third in a row, or what the options say, ends training.
  void skip(const Batch& batch, Key key, double loss, Progress& progress);
  void resume_from(const CheckpointFolder::Latest& latest);
  void save_checkpoint(bool best = false);
  /// A line for people and for the log.
  void tell(Progress& progress, const std::string& text);
  /// Of the measure that chooses: its value, as a score.
  Score chosen_score(const DevScores& dev) const;
  /// Measures, saves what is worth it, and says so. False: no more epochs.
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
  std::int64_t units_ = 0;  // that they were for
  double padding_ = 0;
};

/// Trains with the options' threads: the whole of a program's `train` command. Returns 0.
int run_training(const TrainingOptions& options,
                 const std::function<std::unique_ptr<Task>()>& make);

}  // namespace rapt::examples
