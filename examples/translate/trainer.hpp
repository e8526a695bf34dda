// The training loop of the translate program, as a thing with a state.
#pragma once

#include <chrono>
#include <optional>
#include <rapt/optim/optimizer.hpp>
#include <rapt/optim/schedule.hpp>

#include "../common/progress.hpp"
#include "../common/translation.hpp"
#include "options.hpp"

namespace rapt::examples {

/// Where training stands. With the parameters and the optimizer's arrays it is all that the rest of
/// the run depends on: order and dropout follow from the seed, the epoch and the step.
struct TrainState {
  std::int64_t epoch = 0;  // begun so far
  std::int64_t batch = 0;  // of this epoch, taken so far
  std::int64_t step = 0;   // updates made
  double loss_sum = 0;     // of this epoch's batches
  double best = 0;         // of the measure that chooses; set once best_epoch is
  std::int64_t best_epoch = 0;
};

/// What a model does on the development set.
struct DevScore {
  double loss = 0;  // natural logarithm, per token
  double bleu = 0;  // of greedy translations
};

class Trainer {
 public:
  /// Reads the text, learns the tokenizers and starts the model.
  explicit Trainer(const TrainOptions& options);

  /// Learns until the epochs are over, patience is at an end, or Ctrl-C.
  void run();

 private:
  using Clock = std::chrono::steady_clock;

  struct Material {
    TranslationModel model;
    PairSet pairs, dev;
    std::vector<std::string> dev_references;
  };
  static Material prepare(const TrainOptions& options);
  Trainer(const TrainOptions& options, Material material);

  /// The rest of the epoch; false where Ctrl-C ended it.
  bool run_epoch(Progress& progress, const Interrupt& interrupt);
  /// One update; the loss before it.
  double update(const PairBatch& batch);
  DevScore measure() const;
  /// Measures, saves what is worth it, and says so. False: no more epochs.
  bool end_epoch(Progress& progress);
  void keep_checkpoint(Progress& progress);
  double minutes() const;

  TrainOptions options_;
  TranslationModel model_;
  PairSet pairs_, dev_;
  std::vector<std::string> dev_references_;
  std::int64_t steps_per_epoch_ = 0;
  schedules::Schedule rate_;
  std::optional<AdamW> adam_;
  TrainState state_;
  Clock::time_point begun_ = Clock::now();
  double seconds_ = 0;       // of this epoch's training
  std::int64_t tokens_ = 0;  // of the target, that they were for
  double padding_ = 0;
};

}  // namespace rapt::examples
