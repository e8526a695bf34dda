// The command-line options of training that all programs share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "examples/command_line/numbers.hpp"
#include "tasks/training/kept.hpp"
#include "tasks/training/nonfinite.hpp"
#include "tasks/training/training.hpp"

namespace rapt::examples {
using namespace tasks;

/// Returns a function that adds options which show their defaults.
inline auto adder(CLI::App* command) {
  return [command](const char* name, auto& value, const char* help) {
    return command->add_option(name, value, help)->capture_default_str();
  };
}

/// Adds the options of the schedule and the optimizer. Call it after adding the program's own. All
/// options up to then determine a run's result and must agree when it is resumed. The options that
/// this function adds last affect only the display. --best-by takes "loss" and the given names.
/// `paths` names the options that say where the data are: a run may go on from another path.
void add_training_options(CLI::App* command, TrainingOptions& options,
                          std::vector<std::string> best_by, std::vector<std::string> paths);

/// Begins a group of options in the help of a command: those that are added next.
void begin_group(CLI::App* command, const char* title);

/// Derives settings that depend on which arguments the command line has.
void finish_training_options(const CLI::App* command, TrainingOptions& options);

/// Adds the command `average`, which averages checkpoints kept by training.
void add_average(CLI::App& app, AverageOptions& options);
/// Adds the command `info`, which prints what a model is and how it was trained.
void add_info(CLI::App& app, std::string& model);
/// Adds the command `replay`, which reruns a batch saved by training.
void add_replay(CLI::App& app, ReplayOptions& options);

}  // namespace rapt::examples
