#include "examples/command_line/help.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace rapt::examples {
namespace {

constexpr std::size_t column = 30, page = 96;

/// Counts the letters to insert, remove, replace or exchange with a neighbour until `a` is `b`
/// (Damerau 1964).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> least(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) least[i][0] = i;
  std::iota(least[0].begin(), least[0].end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      least[i][j] = std::min({least[i - 1][j] + 1, least[i][j - 1] + 1,
                              least[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        least[i][j] = std::min(least[i][j], least[i - 2][j - 2] + 1);
      }
    }
  }
  return least[a.size()][b.size()];
}

}  // namespace

std::string wrapped(const std::string& text, std::size_t width, std::size_t indent) {
  std::string lines, line;
  const auto end_line = [&] {
    lines += (lines.empty() ? "" : "\n" + std::string(indent, ' ')) + line;
    line.clear();
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    begin = end + 1;
    if (!line.empty() && line.size() + 1 + word.size() > width) end_line();
    line += (line.empty() ? "" : " ") + word;
  }
  end_line();
  return lines;
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  std::string label = "  " + make_option_name(option, is_positional);
  const std::string type = option->get_type_name();
  const std::string value = option->get_default_str().empty() ? type.substr(0, type.find(':'))
                                                              : option->get_default_str();
  if (!value.empty()) label += " " + value;
  std::string text = option->get_description();
  if (option->get_required()) text += "; required";
  const std::string gap = label.size() + 2 <= column ? std::string(column - label.size(), ' ')
                                                     : "\n" + std::string(column, ' ');
  return label + gap + wrapped(text, page - column, column) + "\n";
}

std::string nearest(const std::string& word, const std::vector<std::string>& names) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& name : names) {
    const std::size_t far = distance(word, name);
    if (far < least) {
      least = far;
      best = name;
    }
  }
  return best;
}

}  // namespace rapt::examples
