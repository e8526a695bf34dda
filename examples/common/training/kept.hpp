// The checkpoints that a training run has kept, one an epoch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "framework/files/checkpoint.hpp"

namespace rapt::examples {

/// The names of the last of them in a model's folder, at most `count`, the oldest first. Throws
/// Error where there are none.
std::vector<std::string> kept_checkpoints(const std::string& folder, std::int64_t count);

struct AverageOptions {
  std::string model, output;
  std::vector<std::string> checkpoints;  // file names in the folder of the model
  std::int64_t last = 5;                 // where none are named
};

/// The whole of a program's `average` command: hands on the mean of the checkpoints, and the name
/// of the first one, of whose kind the model is to be that saves it. Returns 0.
int average(const AverageOptions& options,
            const std::function<void(const std::string& first, const NamedTensors& mean)>& save);

}  // namespace rapt::examples
