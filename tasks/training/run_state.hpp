// The state of a training run besides parameters and optimizer. It is stored in a checkpoint's
// metadata and decides whether a run may be resumed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "framework/files/checkpoint_folder.hpp"
#include "tasks/training/run_log.hpp"

namespace rapt::tasks {

/// The options of a run by name: everything that its result depends on.
using RunOptions = std::vector<std::pair<std::string, std::string>>;

/// The position of a run. Order, dropout and learning rate follow from the options, the epoch, the
/// batch and the step.
struct RunState {
  std::int64_t epoch = 0;       // epochs begun so far
  std::int64_t batch = 0;       // batches done in this epoch
  std::int64_t step = 0;        // batches done in all
  std::int64_t taken = 0;       // batches of this epoch with an update; the others were not finite
  double loss_sum = 0;          // over those batches
  double best = 0;              // best value of the chosen measure; valid once best_epoch is set
  std::int64_t best_epoch = 0;  // the epoch in which the best measure was taken; 0: no measure yet
  std::int64_t best_step = 0;
  std::int64_t waited = 0;   // measures since the best one
  std::int64_t warmup = -1;  // steps; -1: not decided yet
  std::int64_t skipped = 0;  // consecutive batches whose loss or gradient was not finite
  double seconds = 0;        // of training
  bool finished = false;
  RunningMeans means;
};

/// Returns the state as a checkpoint's metadata, exact to the bit.
std::map<std::string, std::string> metadata_of(const RunState& state, const RunOptions& options,
                                               const RunLog& log);
/// Reads such metadata. Throws Error if metadata_of() did not write them.
RunState state_of(const std::map<std::string, std::string>& metadata);
std::string log_of(const std::map<std::string, std::string>& metadata);

/// Returns one line per difference: "--lr was 0.001, now is 0.002". Empty if there is none. Leaves
/// out the options named in `free`.
std::string differences(const RunOptions& saved, const RunOptions& now,
                        const std::vector<std::string>& free = {});

enum class Resume {
  automatic,  // if there is a run with the same options
  required,   // and throws if there is none
  restart     // never; a new run takes the place of the old one
};

/// Returns the checkpoint to resume from, or nothing if a new run is to begin. Options named in
/// `free` may differ. Throws Error with the reason and a remedy if the existing run has other
/// options, and if a run is required and there is none.
std::optional<CheckpointFolder::Latest> checkpoint_to_resume(
    const CheckpointFolder& folder, const std::string& name, const RunOptions& options,
    Resume resume, const std::vector<std::string>& free = {});

}  // namespace rapt::tasks
