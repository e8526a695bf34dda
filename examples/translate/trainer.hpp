// The training loop of the translate program, as a thing with a state.
#pragma once

#include <chrono>
#include <optional>
#include <rapt/optim/optimizer.hpp>
#include <rapt/optim/schedule.hpp>

#include "../common/progress.hpp"
#include "../common/run_log.hpp"
#include "../common/run_state.hpp"
#include "../common/translation.hpp"
#include "options.hpp"

namespace rapt::examples {

/// What a model does on the development set.
struct DevScore {
  double loss = 0;  // natural logarithm, per token
  double bleu = 0;  // of greedy translations
};

class Trainer {
 public:
  /// Reads the text, learns the tokenizers and starts the model.
  explicit Trainer(const TrainOptions& options);

  /// Learns until the epochs are over, patience is at an end, or Ctrl-C. What Ctrl-C or a kill ends
  /// goes on from its last checkpoint the next time, to the bit as if it had not been stopped.
  void run();

 private:
  using Clock = std::chrono::steady_clock;

  struct Material {
    TranslationModel model;
    PairSet pairs, dev;
    std::vector<std::string> dev_references;
    std::optional<CheckpointFolder::Latest> latest;
  };
  static Material prepare(const TrainOptions& options);
  Trainer(const TrainOptions& options, Material material);

  /// The rest of the epoch; false where Ctrl-C ended it.
  bool run_epoch(Progress& progress, const Interrupt& interrupt);
  /// One update, or none where the loss or its gradient is not finite.
  void update(const PairBatch& batch, Progress& progress);
  /// Puts the batch aside; the third in a row, or what the options say, ends training.
  void skip(const PairBatch& batch, Key key, double loss, Progress& progress);
  void resume_from(const CheckpointFolder::Latest& latest);
  void save_checkpoint(bool best = false);
  /// A line for people and for the log.
  void tell(Progress& progress, const std::string& text);
  DevScore measure() const;
  /// Measures, saves what is worth it, and says so. False: no more epochs.
  bool end_epoch(Progress& progress);
  void keep_checkpoint(Progress& progress);
  void write_report() const;

  TrainOptions options_;
  TranslationModel model_;
  PairSet pairs_, dev_;
  std::vector<std::string> dev_references_;
  std::int64_t steps_per_epoch_ = 0;
  schedules::Schedule rate_;
  std::optional<AdamW> adam_;
  CheckpointFolder checkpoints_;
  std::optional<RunLog> log_;
  RunState state_;
  std::string digest_;  // of the sentences that are learned from
  Clock::time_point saved_ = Clock::now();
  double seconds_ = 0;       // of this epoch's training
  std::int64_t tokens_ = 0;  // of the target, that they were for
  double padding_ = 0;
};

}  // namespace rapt::examples
