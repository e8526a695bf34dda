// The two plots of attention weights: SVG and terminal.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "tasks/draw/svg.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

void check_sizes(std::size_t rows, std::size_t cols, std::size_t weights) {
  if (rows * cols != weights) {
    throw std::invalid_argument(
        fmt::format("attention of {} rows and {} columns has {} weights", rows, cols, weights));
  }
}

// Returns a label cut to at most `columns` columns.
std::string shortened(std::string_view label, int columns) {
  const std::string text = printable(label);
  if (display_width(text) <= columns) return text;
  return std::string(cut_to_width(text, columns - 1)) + "…";
}

struct Colour {
  double red, green, blue;
};

// ColorBrewer's "Blues" in five steps, from white. Darkness alone shows the weight.
constexpr std::array<Colour, 5> blues = {
    {{255, 255, 255}, {198, 219, 239}, {107, 174, 214}, {33, 113, 181}, {8, 48, 107}}};

std::string colour(double share) {
  if (!std::isfinite(share)) return "#d62728";
  const double at = std::clamp(share, 0.0, 1.0) * (blues.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(at), blues.size() - 2);
  const double part = at - static_cast<double>(low);
  const auto mix = [&](double Colour::*channel) {
    return static_cast<int>(
        std::lround((1 - part) * blues[low].*channel + part * blues[low + 1].*channel));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(&Colour::red), mix(&Colour::green),
                     mix(&Colour::blue));
}

// Returns the smallest 1, 2 or 5 times a power of ten, at most 1, that no weight exceeds.
double scale_top(std::span<const float> weights) {
  double largest = 0;
  for (const float w : weights) {
    if (std::isfinite(w)) largest = std::max(largest, static_cast<double>(w));
  }
  if (largest <= 0) return 1;
  const double power = std::pow(10, std::floor(std::log10(largest)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    // A sum of floats may exceed 1 slightly.
    if (largest <= factor * power * 1.00001) return factor * power;
  }
  return 10 * power;
}

std::string ascii_only(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint c = next_code_point(text);
    out += c.value < 0x80 ? static_cast<char>(c.value) : '?';
    text.remove_prefix(static_cast<std::size_t>(c.bytes));
  }
  return out;
}

}  // namespace

std::string attention_svg(std::span<const std::string> rows, std::span<const std::string> cols,
                          std::span<const float> weights) {
  check_sizes(rows.size(), cols.size(), weights.size());
  constexpr int cell = 26, gap = 8, margin = 16, widest_label = 24;
  constexpr double column_width = 7.6;  // of a 13 pixel sans-serif font, rounded up
  const auto pixels = [&](std::span<const std::string> labels) {
    int columns = 0;
    for (const std::string& label : labels) {
      columns = std::max(columns, display_width(shortened(label, widest_label)));
    }
    return static_cast<int>(std::ceil(columns * column_width));
  };
  // The column labels rise to the right at 45 degrees.
  const int slant = static_cast<int>(pixels(cols) * 0.71) + 10;
  const int left = margin + pixels(rows) + gap, top = margin + slant + gap;
  const int grid_width = cell * static_cast<int>(cols.size());
  const int grid_height = cell * static_cast<int>(rows.size());
  constexpr int scale_width = 140, scale_height = 10, below = 54;
  const int width = std::max(left + grid_width + std::max(slant - cell / 2, 0) + margin,
                             2 * margin + scale_width + 40);
  const int height = top + grid_height + below;

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n"
      "<title>attention weights</title>\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n",
      width, height);
  for (std::size_t c = 0; c < cols.size(); ++c) {
    const int x = left + cell * static_cast<int>(c) + cell / 2 + 3;
    svg += fmt::format("<text x=\"{0}\" y=\"{1}\" transform=\"rotate(-45 {0} {1})\">{2}</text>\n",
                       x, top - gap, xml_escape(shortened(cols[c], widest_label)));
  }
  const double full = scale_top(weights);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const int y = top + cell * static_cast<int>(r);
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", left - gap,
                       y + cell / 2 + 5, xml_escape(shortened(rows[r], widest_label)));
    for (std::size_t c = 0; c < cols.size(); ++c) {
      const double weight = static_cast<double>(weights[r * cols.size() + c]);
      svg += fmt::format(
          "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" stroke=\"#ddd\">"
          "<title>{}, {}: {:.3f}</title></rect>\n",
          left + cell * static_cast<int>(c), y, cell, cell, colour(weight / full),
          xml_escape(rows[r]), xml_escape(cols[c]), weight);
    }
  }

  svg += "<defs><linearGradient id=\"scale\">";
  for (std::size_t i = 0; i < blues.size(); ++i) {
    const double share = static_cast<double>(i) / (blues.size() - 1);
    svg += fmt::format("<stop offset=\"{}\" stop-color=\"{}\"/>", share, colour(share));
  }
  // Below the grid, or at the left edge if the grid is too narrow for it.
  const int scale_x = std::min(left, width - margin - scale_width - 24);
  const int scale_y = top + grid_height + 18;
  svg += fmt::format(
      "</linearGradient></defs>\n"
      "<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\" fill=\"url(#scale)\" "
      "stroke=\"#999\"/>\n"
      "<text x=\"{0}\" y=\"{4}\" font-size=\"11\" text-anchor=\"middle\">0</text>\n"
      "<text x=\"{5}\" y=\"{4}\" font-size=\"11\" text-anchor=\"middle\">{6:g}</text>\n</svg>\n",
      scale_x, scale_y, scale_width, scale_height, scale_y + scale_height + 14,
      scale_x + scale_width, full);
  return svg;
}

std::string attention_terminal(std::span<const std::string> rows, std::span<const std::string> cols,
                               std::span<const float> weights, bool unicode) {
  check_sizes(rows.size(), cols.size(), weights.size());
  constexpr std::array<std::string_view, 5> blocks = {"·", "░", "▒", "▓", "█"};
  constexpr std::array<std::string_view, 5> ascii = {".", ":", "+", "*", "#"};
  const auto& shades = unicode ? blocks : ascii;
  const auto shade = [&](float w) -> std::string_view {
    if (!std::isfinite(w)) return "!";
    return shades[w < 0.05f ? 0 : w < 0.25f ? 1 : w < 0.5f ? 2 : w < 0.75f ? 3 : 4];
  };
  const auto label = [&](const std::string& text, int width) {
    return unicode ? shortened(text, width) : ascii_only(cut_to_width(printable(text), width));
  };
  constexpr int widest_row = 24, tallest_column = 16;
  std::vector<std::string> row_labels;
  int label_width = 0;
  for (const std::string& row : rows) {
    row_labels.push_back(label(row, widest_row));
    label_width = std::max(label_width, display_width(row_labels.back()));
  }
  const auto spaces = [](int n) { return std::string(static_cast<std::size_t>(n), ' '); };

  // Every weight takes two columns, like a wide character of a column label.
  std::vector<std::vector<std::string>> letters;
  std::size_t lines = 0;
  for (const std::string& col : cols) {
    std::vector<std::string> down;
    for (std::string& c : split_characters(label(col, tallest_column))) {
      // A combining mark stays with its letter.
      if (display_width(c) == 0 && !down.empty()) {
        down.back() += c;
      } else {
        down.push_back(std::move(c));
      }
    }
    lines = std::max(lines, down.size());
    letters.push_back(std::move(down));
  }
  std::string out;
  for (std::size_t i = 0; i < lines; ++i) {
    std::string line = spaces(label_width + 1);
    for (const auto& down : letters) {
      const std::size_t above = lines - down.size();
      const std::string letter = i < above ? "" : down[i - above];
      line += letter + spaces(2 - display_width(letter));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out += spaces(label_width - display_width(row_labels[r])) + row_labels[r] + " ";
    for (std::size_t c = 0; c < cols.size(); ++c) {
      const std::string_view mark = shade(weights[r * cols.size() + c]);
      // Block characters are doubled to form an even area; a dot or a sign is not.
      const bool block = unicode && mark != blocks[0] && mark != "!";
      out += mark;
      out += block ? mark : " ";
    }
    out += "\n";
  }
  return out;
}

}  // namespace rapt::tasks
