// Line plots, and helpers that all plots share.
#include "tasks/draw/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

// The palette of Okabe and Ito without yellow, distinguishable for colour-blind readers.
constexpr std::array<std::string_view, 7> colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                     "#56b4e9", "#e69f00", "#222222"};
constexpr int markers = 6;  // coprime with the 7 colours: 42 pairs

std::string marker(std::size_t series, double x, double y) {
  const std::string_view c = colours[series % colours.size()];
  switch (series % markers) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", x, y, c);
    case 1:
      return fmt::format("<path d=\"M{:.1f} {:.1f}h6.4v6.4h-6.4z\" fill=\"{}\"/>\n", x - 3.2,
                         y - 3.2, c);
    case 2:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l4.2 7.4h-8.4z\" fill=\"{}\"/>\n", x, y - 4.8, c);
    case 3:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l4.6 4.6l-4.6 4.6l-4.6 -4.6z\" fill=\"{}\"/>\n",
                         x, y - 4.6, c);
    case 4:
      return fmt::format(
          "<path d=\"M{:.1f} {:.1f}l7 7m0 -7l-7 7\" stroke=\"{}\" stroke-width=\"2\"/>\n", x - 3.5,
          y - 3.5, c);
    default:
      return fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.3\" fill=\"#fff\" stroke=\"{}\" "
          "stroke-width=\"1.8\"/>\n",
          x, y, c);
  }
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void add(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }

  // Makes the range non-empty, so that its length can be a divisor.
  void finish() {
    if (low > high) low = 0, high = 1;
    if (high - low <= std::max(1e-12 * std::max(std::abs(low), std::abs(high)), 1e-290)) {
      const double pad = std::abs(low) < 1e-290 ? 1 : std::abs(low) / 2;
      low -= pad;
      high += pad;
    }
  }
};

// Returns true if a point can be drawn. Beyond 1e300 the length of a range could overflow.
bool finite(const Series& s, std::size_t i) {
  return std::abs(s.x[i]) < 1e300 && std::abs(s.y[i]) < 1e300;
}

// Formats tick labels with as many decimals as their spacing needs. Large numbers get separators
// for thousands.
std::vector<std::string> tick_texts(const std::vector<double>& ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  double largest = step;
  for (const double t : ticks) largest = std::max(largest, std::abs(t));
  std::vector<std::string> texts;
  for (const double t : ticks) {
    if (step < 1e-4 || largest >= 1e7) {
      texts.push_back(fmt::format("{:.4g}", t));
      continue;
    }
    const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
    // A tick at zero may be -1e-17.
    std::string text = fmt::format("{:.{}f}", std::abs(t) < step / 2 ? 0 : t, decimals);
    const std::size_t digits = std::min(text.find('.'), text.size());
    const std::size_t sign = text[0] == '-';
    for (std::size_t i = digits; largest >= 10000 && i > sign + 3; i -= 3)
      text.insert(i - 3, 1, ',');
    texts.push_back(std::move(text));
  }
  return texts;
}

double width_of(std::string_view text) { return 7.6 * display_width(text); }

// Returns the line of a series, with about twenty markers.
std::string drawn_series(const Series& s, std::size_t number, auto&& px, auto&& py) {
  std::string path, marks;
  bool pen_down = false;
  const std::size_t every = std::max<std::size_t>(1, (s.x.size() + 19) / 20);
  for (std::size_t i = 0; i < s.x.size(); ++i) {
    if (!finite(s, i)) {
      pen_down = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", pen_down ? "L" : "M", px(s.x[i]), py(s.y[i]));
    pen_down = true;
    if (i % every == 0 || i + 1 == s.x.size()) marks += marker(number, px(s.x[i]), py(s.y[i]));
  }
  if (path.empty()) return "";
  return fmt::format(
             "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" "
             "stroke-linejoin=\"round\"/>\n",
             path, colours[number % colours.size()]) +
         marks;
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::vector<double> nice_ticks(double low, double high, int count) {
  const double raw = (high - low) / std::max(count, 1);
  // If ticks were as close as adjacent doubles, the counting loop would not end.
  const double finest = std::max(1e-14 * std::max(std::abs(low), std::abs(high)), 1e-300);
  if (!(raw > finest) || !std::isfinite(raw)) return {low};
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power * 1.000001) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-6), last = std::floor(high / step + 1e-6);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string line_plot_svg(std::string_view title, std::string_view x_label,
                          std::string_view y_label, std::span<const Series> series) {
  Range xs, ys;
  double legend_text = 0;
  for (const Series& s : series) {
    if (s.x.size() != s.y.size()) {
      throw std::invalid_argument(
          fmt::format("plot: series \"{}\" has {} x, but {} y", s.name, s.x.size(), s.y.size()));
    }
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      if (!finite(s, i)) continue;
      xs.add(s.x[i]);
      ys.add(s.y[i]);
    }
    legend_text = std::max(legend_text, width_of(s.name));
  }
  xs.finish();
  ys.finish();
  // Leaves room above and below, so that no line runs along the frame.
  const double room = 0.04 * (ys.high - ys.low);
  ys = {ys.low - room, ys.high + room};

  const std::vector<double> x_ticks = nice_ticks(xs.low, xs.high, 7);
  const std::vector<double> y_ticks = nice_ticks(ys.low, ys.high, 6);
  const std::vector<std::string> x_texts = tick_texts(x_ticks), y_texts = tick_texts(y_ticks);
  double y_tick_width = 0;
  for (const std::string& t : y_texts) y_tick_width = std::max(y_tick_width, width_of(t));
  constexpr double plot_width = 560, top = 48, line_height = 20;
  const double plot_height = std::max(320.0, line_height * static_cast<double>(series.size()));
  const double left = 44 + y_tick_width, right = left + plot_width, bottom = top + plot_height;
  const double width = right + (series.empty() ? 24 : 56 + legend_text), height = bottom + 56;
  const auto px = [&](double x) { return left + plot_width * (x - xs.low) / (xs.high - xs.low); };
  const auto py = [&](double y) {
    return bottom - plot_height * (y - ys.low) / (ys.high - ys.low);
  };

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"13\" "
      "fill=\"#222\">\n<title>{2}</title>\n"
      "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#fff\"/>\n"
      "<text x=\"{3:.1f}\" y=\"28\" font-size=\"16\" text-anchor=\"middle\">{2}</text>\n",
      width, height, xml_escape(title), left + plot_width / 2);
  for (std::size_t i = 0; i < x_ticks.size(); ++i) {
    svg += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"#e4e4e4\"/>\n"
        "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4}</text>\n",
        px(x_ticks[i]), top, bottom, bottom + 18, x_texts[i]);
  }
  for (std::size_t i = 0; i < y_ticks.size(); ++i) {
    svg += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}H{2:.1f}\" stroke=\"#e4e4e4\"/>\n"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        left, py(y_ticks[i]), right, left - 7, py(y_ticks[i]) + 4.5, y_texts[i]);
  }
  svg += fmt::format(
      "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\" fill=\"none\" stroke=\"#444\"/>\n"
      "<text x=\"{4:.1f}\" y=\"{5:.1f}\" text-anchor=\"middle\">{6}</text>\n"
      "<text x=\"18\" y=\"{7:.1f}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {7:.1f})\">"
      "{8}</text>\n",
      left, top, bottom, right, left + plot_width / 2, bottom + 42, xml_escape(x_label),
      top + plot_height / 2, xml_escape(y_label));

  for (std::size_t i = 0; i < series.size(); ++i) {
    svg += drawn_series(series[i], i, px, py);
    const double x = right + 16, y = top + 8 + line_height * static_cast<double>(i);
    svg += fmt::format(
        "<path d=\"M{:.1f} {:.1f}h20\" stroke=\"{}\" stroke-width=\"1.8\"/>\n{}"
        "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
        x, y, colours[i % colours.size()], marker(i, x + 10, y), x + 26, y + 4.5,
        xml_escape(series[i].name));
  }
  return svg + "</svg>\n";
}

}  // namespace rapt::tasks
