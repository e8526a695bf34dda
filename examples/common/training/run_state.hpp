// Where a training run stands, beside parameters and optimizer: what a checkpoint's metadata holds,
// and whether a folder's run may be continued.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "examples/common/training/run_log.hpp"
#include "framework/files/checkpoint_folder.hpp"

namespace rapt::examples {

/// What a run was started with, by name: all that its result depends on.
using RunOptions = std::vector<std::pair<std::string, std::string>>;

/// Order, dropout and learning rate follow from the options, the epoch, the batch and the step.
struct RunState {
  std::int64_t epoch = 0;  // begun so far
  std::int64_t batch = 0;  // of this epoch, gone through so far
  std::int64_t step = 0;   // batches gone through in all
  std::int64_t taken = 0;  // of this epoch's, learned from; the others were not finite
  double loss_sum = 0;     // of those
  double best = 0;         // of the measure that chooses; set once best_epoch is
  std::int64_t best_epoch = 0;
  std::int64_t skipped = 0;  // batches in a row whose loss or gradient was not finite
  double seconds = 0;        // of training
  bool finished = false;
  RunningMeans means;
};

/// As a checkpoint's metadata, to the bit.
std::map<std::string, std::string> metadata_of(const RunState& state, const RunOptions& options,
                                               const RunLog& log);
/// Throws Error where the metadata are not of metadata_of().
RunState state_of(const std::map<std::string, std::string>& metadata);
std::string log_of(const std::map<std::string, std::string>& metadata);

/// What differs, a line each: "--lr was 0.001, now is 0.002". Empty where nothing does.
std::string differences(const RunOptions& saved, const RunOptions& now);

enum class Resume {
  automatic,  // where there is an unfinished run of the same options
  required,   // and it is an error where there is none
  restart     // never: what is there goes
};

/// The checkpoint to continue from; nothing where a run is to begin. Throws Error, saying why and
/// what to do, where there is a run that is finished or of other options, or none and it is
/// required.
std::optional<CheckpointFolder::Latest> checkpoint_to_resume(CheckpointFolder& folder,
                                                             const std::string& name,
                                                             const RunOptions& options,
                                                             Resume resume);

}  // namespace rapt::examples
