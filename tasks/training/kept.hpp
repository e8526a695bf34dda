// The models that a training run keeps, one per measure, and their mean.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framework/files/checkpoint.hpp"

namespace rapt::tasks {

/// Returns the names of the last models that the folder's run has kept, at most `count`, the oldest
/// first. Throws Error if there are none.
std::vector<std::string> kept_checkpoints(const std::string& folder, std::int64_t count);

struct AverageOptions {
  std::string model, output;
  std::vector<std::string> checkpoints;  // file names in the folder of the model
  std::int64_t last = 5;                 // number of checkpoints if none are named
  bool overwrite = false;                // true: the mean may replace a model
};

/// Runs a program's `average` command. Calls `save` with the mean of the checkpoints and the name
/// of the first one, which tells the kind of the model. Returns 0. Throws Error if the output is
/// the folder of a run, or holds a model that may not be replaced.
int average(const AverageOptions& options,
            const std::function<void(const std::string& first, const NamedTensors& mean)>& save);

}  // namespace rapt::tasks
