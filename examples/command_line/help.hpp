// The layout of --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace rapt::examples {

/// Formats help in two columns, with the descriptions wrapped.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
};

/// Breaks a text into lines of at most `width` columns, at its blanks. Continued lines begin with
/// `indent` blanks.
std::string wrapped(const std::string& text, std::size_t width, std::size_t indent);

/// Returns the one of `names` that `word` most resembles, or nothing if none resembles it.
std::string nearest(const std::string& word, const std::vector<std::string>& names);

}  // namespace rapt::examples
