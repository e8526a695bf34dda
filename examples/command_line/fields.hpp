// Options of a command line that follow from the description of a struct.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "examples/command_line/numbers.hpp"
#include "tasks/model_files/fields.hpp"

namespace rapt::examples {
using namespace tasks;

/// Visits fields and adds an option for each that has a help: "--norm-first" for "norm_first". The
/// options show their defaults. The struct must outlive the command line. Lists are left out.
class CommandLine {
 public:
  /// `who` comes before each help, such as "gru: ". `renamed` gives other names to fields, such as
  /// {"encoder_layers", "--layers"}; a field whose other name is empty is left out.
  CommandLine(CLI::App* command, std::string who,
              std::vector<std::pair<std::string, std::string>> renamed = {})
      : command_(command), who_(std::move(who)), renamed_(std::move(renamed)) {}

  template <class Integer>
  void number(const char* name, Integer& value, const char* help) {
    if (!is_option(name, help)) return;
    // A help that says what 0 means allows it.
    const bool zero = std::string(help).find("; 0: ") != std::string::npos;
    command_->add_option(option(name), value, who_ + help)
        ->capture_default_str()
        ->check(zero ? not_negative : positive);
  }
  void real(const char* name, double& value, const char* help) {
    if (!is_option(name, help)) return;
    command_->add_option(option(name), value, who_ + help)
        ->capture_default_str()
        ->check(not_negative);
  }
  void flag(const char* name, bool& value, const char* help) {
    if (is_option(name, help)) command_->add_flag(option(name), value, who_ + help);
  }
  template <class E, std::size_t n>
  void choice(const char* name, E& value, const Name<E> (&names)[n], const char* help) {
    if (!is_option(name, help)) return;
    const std::string chosen = name_of(value, names);
    command_
        ->add_option_function<std::string>(
            option(name),
            [&value, &names](const std::string& text) { value = value_of(text, names); },
            who_ + help)
        ->default_str(chosen)
        ->check(CLI::IsMember(names_of(names)));
  }
  void list(const char*, const char*, const std::vector<std::int64_t>&, const char*) {}

 private:
  bool is_option(const char* name, const char* help) const {
    return help != nullptr && !option(name).empty();
  }
  std::string option(const std::string& name) const {
    for (const auto& [field, other] : renamed_) {
      if (field == name) return other;
    }
    std::string text = "--" + name;
    std::replace(text.begin(), text.end(), '_', '-');
    return text;
  }

  CLI::App* command_;
  std::string who_;
  std::vector<std::pair<std::string, std::string>> renamed_;
};

}  // namespace rapt::examples
