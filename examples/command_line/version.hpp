// The option --version.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "tasks/data/version.hpp"

namespace rapt::examples {

/// Adds --version, which prints the program's name and the version of rapt.
inline void add_version(CLI::App& app, const std::string& program) {
  app.set_version_flag("--version", program + " (rapt) " + tasks::version());
}

}  // namespace rapt::examples
