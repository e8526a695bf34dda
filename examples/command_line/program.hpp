// What all programs have in common: the command line, errors, and the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace rapt::examples {

/// Parses the command line, calls `run`, and returns the exit code of the program. It is 1 after an
/// error, 2 for a command line that is not understood, else what `run` returns. Output that did not
/// reach standard output is an error. A lost stderr is none.
///
/// Adds --version. An option that is given twice has the last value, so that a script may set
/// defaults. Commands with an option --config take options from that file. Those of the command
/// line win.
int run_program(const std::string& name, CLI::App& app, int argc, char** argv,
                const std::function<int()>& run);

/// Returns the values that an option has: those that are given, or its default's.
std::vector<std::string> values_of(const CLI::Option& option);

/// Returns the options of a command as text for --config: those that are given, and the defaults of
/// the others. `without` names options to leave out.
std::string config_of(const CLI::App* command, const std::vector<std::string>& without);

/// Adds the option --config. run_program() reads the file.
void add_config(CLI::App* command);

}  // namespace rapt::examples
