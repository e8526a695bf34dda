// The training loop of the programs: what it learns is a Task's, everything else is here.
//
//   TrainingRun(options, [&] { return std::make_unique<TranslationTask>(...); }).run();
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <rapt/framework/checkpoint.hpp>
#include <rapt/framework/random.hpp>
#include <rapt/optim/optimizer.hpp>
#include <rapt/optim/schedule.hpp>
#include <string>
#include <vector>

#include "progress.hpp"
#include "report.hpp"
#include "run_log.hpp"
#include "run_state.hpp"

namespace rapt::examples {

/// What one update learns from.
struct Batch {
  NamedTensors tensors;
  std::int64_t units = 0;  // what the loss is a mean over, and what the speed counts

  /// The tensor of that name; throws Error where there is none.
  const Tensor& operator[](const std::string& name) const;
};

/// The batches of one pass over the data.
struct Epoch {
  std::int64_t batches = 0;
  double padding = 0;                       // share of the places that are padding, [0, 1)
  std::function<Batch(std::int64_t)> make;  // the i-th; called by one thread, in any order
};

struct DevScores {
  double loss = 0;  // as Task::loss() without what only training adds
  std::vector<Score> scores = {};
};

/// What is learned: data, model, loss and how to measure them.
class Task {
 public:
  virtual ~Task() = default;
  /// Of the model; the same ones, in the same order, at each call.
  virtual std::vector<Parameter> parameters() = 0;
  /// Changes with the data or with how it was prepared: a run is not resumed on other data.
  virtual std::string digest() const = 0;
  /// The batches of epoch 0, 1, ...: as many in each, and the same ones for the same number.
  virtual Epoch epoch(std::int64_t number) = 0;
  /// Records the mean loss of a batch on the current tape, for training.
  virtual Var loss(const Batch& batch) = 0;
  virtual DevScores measure() = 0;
  /// Writes the model so that it can be used as FOLDER/FILE, as a whole or not at all.
  virtual void save(const std::string& folder, const std::string& file) = 0;
  /// What the model is, in a few words, for the report.
  virtual std::string summary() const = 0;
  /// Views of the report beside the curves: samples of what the model does.
  virtual std::vector<ReportView> views() { return {}; }
  /// What loss() depends on beside batch and model, kept with a batch that is put aside.
  virtual std::map<std::string, std::string> settings() const { return {}; }
};

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
