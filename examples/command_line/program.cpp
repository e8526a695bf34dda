#include "examples/command_line/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "examples/command_line/help.hpp"
#include "tasks/data/version.hpp"
#include "tasks/draw/messages.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

using Strings = std::vector<std::string>;

/// A command line that is not understood.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Opens those of the three standard files that are closed. Else the next file that the program
/// opens would take its place, and messages would be written into it. Reading and writing fail.
void open_standard_files() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) return;
  }
}

/// Sets what all options of all commands have in common.
void prepare(CLI::App& app) {
  app.formatter(std::make_shared<HelpFormatter>());
  app.get_formatter()->column_width(30);
  for (CLI::Option* option : app.get_options()) {
    const bool one = option->get_expected_max() == 1 && option->get_type_size_max() == 1;
    if (one) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) prepare(*command);
}

Strings names_of_options(const CLI::App& app) {
  Strings names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

Strings names_of_commands(const CLI::App& app) {
  Strings names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

/// Says that `word` is not among `names`, and which of them it resembles.
std::string unknown(const std::string& word, const std::string& what, const Strings& names) {
  const std::string like = nearest(word, names);
  return fmt::format("'{}' is no {}{}", word, what,
                     like.empty() ? "" : fmt::format("; did you mean '{}'?", like));
}

/// Returns the command that the arguments name, or the program itself if it has no commands.
/// Throws UsageError if they name none that exists. Returns null if an option comes first.
CLI::App* command_of(CLI::App& app, const Strings& arguments) {
  const Strings commands = names_of_commands(app);
  if (commands.empty()) return &app;
  if (arguments.empty() || arguments[0].starts_with("-")) return nullptr;
  if (std::find(commands.begin(), commands.end(), arguments[0]) == commands.end()) {
    throw UsageError(unknown(arguments[0], "command", commands));
  }
  return app.get_subcommand(arguments[0]);
}

/// Returns the part of an argument before "=".
std::string name_in(const std::string& argument) { return argument.substr(0, argument.find('=')); }

/// Throws UsageError if an argument looks like an option and is none of the command's.
void expect_known(const CLI::App& command, const Strings& arguments) {
  const Strings known = names_of_options(command);
  for (const std::string& argument : arguments) {
    const std::string name = name_in(argument);
    if (argument == "--") return;
    if (!name.starts_with("--") || std::find(known.begin(), known.end(), name) != known.end()) {
      continue;
    }
    throw UsageError(unknown(name, "option of " + command.get_name(), known));
  }
}

/// Returns the options of a file as arguments, without those that are given already.
Strings arguments_of_file(const std::string& path, CLI::App& command, const Strings& given) {
  std::vector<CLI::ConfigItem> items;
  try {
    items = CLI::ConfigTOML().from_file(path);
  } catch (const CLI::Error&) {
    throw UsageError(fmt::format("--config: {} cannot be read", path));
  }
  const auto is_given = [&](const CLI::Option& option) {
    return std::any_of(given.begin(), given.end(), [&](const std::string& argument) {
      const std::string name = name_in(argument);
      return name.starts_with("--") && option.check_lname(name.substr(2));
    });
  };
  Strings arguments;
  for (const CLI::ConfigItem& item : items) {
    if (item.name == "++" || item.name == "--") continue;  // the begin and the end of a section
    if (!item.parents.empty()) {
      throw UsageError(
          fmt::format("{}: has a section [{}], but there are none", path, item.parents.front()));
    }
    const CLI::Option* option = command.get_option_no_throw("--" + item.name);
    if (option == nullptr) {
      throw UsageError(
          path + ": " +
          unknown("--" + item.name, "option of " + command.get_name(), names_of_options(command)));
    }
    // "--name=" without a value would take the next argument for it.
    if (item.inputs.empty() || item.inputs.front().empty() || is_given(*option)) continue;
    arguments.push_back("--" + item.name + "=" + item.inputs.front());
    arguments.insert(arguments.end(), item.inputs.begin() + 1, item.inputs.end());
  }
  return arguments;
}

/// Returns the arguments with those of a --config file in front.
Strings with_config(CLI::App& command, const Strings& arguments) {
  if (command.get_option_no_throw("--config") == nullptr) return arguments;
  std::string path;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--config" && i + 1 < arguments.size()) path = arguments[i + 1];
    if (arguments[i].starts_with("--config=")) path = arguments[i].substr(9);
  }
  if (path.empty()) return arguments;
  Strings all = arguments_of_file(path, command, arguments);
  // After the command's name, which comes first.
  const bool named = !arguments.empty() && arguments[0] == command.get_name();
  all.insert(all.end(), arguments.begin() + (named ? 1 : 0), arguments.end());
  if (named) all.insert(all.begin(), arguments[0]);
  return all;
}

/// Parses the arguments. Returns false if they asked for help, which is printed then.
bool parse(CLI::App& app, const Strings& given) {
  CLI::App* command = command_of(app, given);
  Strings arguments = command == nullptr ? given : with_config(*command, given);
  try {
    std::reverse(arguments.begin(), arguments.end());
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return false;
    }
    if (command != nullptr) expect_known(*command, given);
    throw UsageError(error.what());
  }
  return true;
}

int parse_and_run(CLI::App& app, const Strings& arguments, const std::function<int()>& run) {
  return parse(app, arguments) ? run() : 0;
}

/// Returns a value as TOML. A literal string has no escapes, so that any path can be written that
/// has no single quote.
std::string toml(const std::string& value) {
  const bool number = !value.empty() && value.find_first_not_of("0123456789.") == value.npos;
  if (number || value == "true" || value == "false") return value;
  return value.find('\'') == value.npos ? "'" + value + "'" : '"' + value + '"';
}

}  // namespace

void add_config(CLI::App* command) {
  command->add_option("--config",
                      "a TOML file of options, such as: epochs = 20. The command line"
                      " goes before it");
}

std::vector<std::string> values_of(const CLI::Option& option) {
  if (option.count() > 0) return option.reduced_results();
  const std::string text = option.get_default_str();
  if (text.empty() || text == "[]") return {};
  if (!text.starts_with('[') || !text.ends_with(']')) return {text};
  return CLI::detail::split(text.substr(1, text.size() - 2), ',');
}

std::string config_of(const CLI::App* command, const std::vector<std::string>& without) {
  std::string text;
  for (const CLI::Option* option : command->get_options()) {
    const std::string name = option->get_name();
    if (option == command->get_help_ptr() || name == "--config" ||
        std::find(without.begin(), without.end(), name) != without.end() ||
        !name.starts_with("--")) {
      continue;
    }
    const Strings values = values_of(*option);
    if (values.empty()) continue;
    std::string all;
    for (const std::string& value : values) all += (all.empty() ? "" : ", ") + toml(value);
    text += name.substr(2) + " = " + (values.size() > 1 ? "[" + all + "]" : all) + "\n";
  }
  return text;
}

int run_program(const std::string& name, CLI::App& app, int argc, char** argv,
                const std::function<int()>& run) {
  open_standard_files();
  int code = 1;
  try {
    app.name(name);
    app.set_version_flag("--version", name + " (rapt) " + version());
    prepare(app);
    code = parse_and_run(app, Strings(argv + 1, argv + argc), run);
  } catch (const UsageError& error) {
    print_message(fmt::format("{}: {}\nsee {} --help", name, error.what(), name));
    code = 2;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    print_message(fmt::format("{}: {}", name, error.what()));
  }
  // What was printed may still be in a buffer, or the disk may tell at the end that it is full.
  errno = 0;
  const bool lost = std::ferror(stdout) != 0;
  if ((std::fclose(stdout) != 0 || lost) && code == 0) {
    print_message(fmt::format("{}: standard output: cannot write{}", name,
                              errno == 0 ? "" : ": " + std::generic_category().message(errno)));
    code = 1;
  }
  return code;
}

}  // namespace rapt::examples
