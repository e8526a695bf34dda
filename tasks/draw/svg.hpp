// Plots of attention weights and of training curves.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

/// Returns a heat map as an SVG document. `weights` is [rows, cols], row-major, with one label per
/// row (left) and column (top). White is 0; the darkest colour is the largest weight, rounded up. A
/// weight that is not finite is red. Throws std::invalid_argument if the sizes do not match.
std::string attention_svg(std::span<const std::string> rows, std::span<const std::string> cols,
                          std::span<const float> weights);

/// Returns the same heat map as text for a terminal, with column labels written downwards. The
/// shades are "·" below 0.05, then ░ ▒ ▓ █ by quarters of 1. Without `unicode`, the text is ASCII:
/// the shades are ". : + * #", and "?" stands for other characters of a label. "!" is a weight that
/// is not finite.
std::string attention_terminal(std::span<const std::string> rows, std::span<const std::string> cols,
                               std::span<const float> weights, bool unicode);

struct Series {
  std::string name;
  std::vector<double> x, y;
};

/// Returns a line plot as an SVG document, with axes, ticks and a legend. The series differ in
/// colour and in marker. Lines have a gap at points that are not finite. Throws
/// std::invalid_argument if the x and y of a series differ in number.
std::string line_plot_svg(std::string_view title, std::string_view x_label,
                          std::string_view y_label, std::span<const Series> series);

/// Returns about `count` round numbers in [low, high]. Their spacing is 1, 2 or 5 times a power of
/// ten.
std::vector<double> nice_ticks(double low, double high, int count);

/// Escapes a text for an XML element or attribute and drops characters that XML forbids.
std::string xml_escape(std::string_view text);

}  // namespace rapt::tasks
