// Pictures of attention weights and of training curves.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::examples {

/// A heat map as an SVG document: weights [rows, cols], row-major, one label per row (left) and
/// column (top). White is 0, dark the largest weight, rounded up; a weight that is no finite number
/// is red. Throws std::invalid_argument when the sizes do not fit.
std::string attention_svg(std::span<const std::string> rows, std::span<const std::string> cols,
                          std::span<const float> weights);

/// The same as text for a terminal: one shade per weight ("·" below 0.05, then ░ ▒ ▓ █ by quarters
/// of 1), column labels written downwards. Without `unicode` in ASCII: ". : + * #", and "?" for
/// what ASCII lacks in a label; "!" is a weight that is no finite number.
std::string attention_terminal(std::span<const std::string> rows, std::span<const std::string> cols,
                               std::span<const float> weights, bool unicode);

struct Series {
  std::string name;
  std::vector<double> x, y;
};

/// A line plot as an SVG document, with axes, ticks and a legend. The series differ in colour and
/// in marker. A line is broken at a point that is not finite. Throws std::invalid_argument when a
/// series has not as many x as y.
std::string line_plot_svg(std::string_view title, std::string_view x_label,
                          std::string_view y_label, std::span<const Series> series);

/// About `count` round numbers (1, 2 or 5 times a power of ten apart) that lie in [low, high].
std::vector<double> nice_ticks(double low, double high, int count);

/// Text for an XML document's content or attribute: escaped, without what XML forbids.
std::string xml_escape(std::string_view text);

}  // namespace rapt::examples
