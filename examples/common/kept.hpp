// The checkpoints that a training run has kept, one an epoch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rapt::examples {

/// The names of the last of them in a model's folder, at most `count`, the oldest first. Throws
/// Error where there are none.
std::vector<std::string> kept_checkpoints(const std::string& folder, std::int64_t count);

}  // namespace rapt::examples
