// The command line of training, as all programs have it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "examples/common/training/kept.hpp"
#include "examples/common/training/nonfinite.hpp"
#include "examples/common/training/training.hpp"

namespace rapt::examples {

inline const auto positive = CLI::PositiveNumber;
inline const auto not_negative = CLI::NonNegativeNumber;
inline const auto share = CLI::Range(0.0, 1.0);

/// Adds options that show their defaults.
inline auto adder(CLI::App* command) {
  return [command](const char* name, auto& value, const char* help) {
    return command->add_option(name, value, help)->capture_default_str();
  };
}

/// Adds the options of the schedule and the optimizer, and closes the list of what decides a run's
/// result: call it after the program's own. What it adds last decides only what is seen of the run.
/// --best-by takes "loss" and the given names.
void add_training_options(CLI::App* command, TrainingOptions& options,
                          std::vector<std::string> best_by);

/// What the parsed command line says beyond single options.
void finish_training_options(const CLI::App* command, TrainingOptions& options);

/// The command `average`, of checkpoints that training has kept.
void add_average(CLI::App& app, AverageOptions& options);
/// The command `replay`, of a batch that training has put aside.
void add_replay(CLI::App& app, ReplayOptions& options);

}  // namespace rapt::examples
