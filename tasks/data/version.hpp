// The version of rapt as text.
#pragma once

#include <string>

#include "framework/core/api.hpp"

namespace rapt::tasks {

/// Returns the version, such as "1.2.0".
inline std::string version() {
  return std::to_string(RAPT_VERSION_MAJOR) + "." + std::to_string(RAPT_VERSION_MINOR) + "." +
         std::to_string(RAPT_VERSION_PATCH);
}

}  // namespace rapt::tasks
