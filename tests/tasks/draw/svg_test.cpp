#include "tasks/draw/svg.hpp"

#include <cmath>
#include <limits>
#include <optional>

#include "tasks/text/utf8.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

// The first fault of an XML document of the kind written here (no comments, no CDATA): tags that do
// not match, attributes without quotes, bare < and &, invalid characters.
std::optional<std::string> xml_fault(std::string_view text) {
  if (!is_valid_utf8(text)) return "invalid UTF-8";
  std::vector<std::string> open;
  const auto entity_at = [&](std::size_t i) {
    for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
      if (text.substr(i).starts_with(entity)) return true;
    }
    return false;
  };
  int roots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return "control character";
    if (c == '&' && !entity_at(i)) return "bare &";
    if (c == '>') return "bare >";
    if (c != '<') {
      if (open.empty() && c != '\n') return "text outside of the root";
      continue;
    }
    const bool closes = text.substr(i).starts_with("</");
    std::size_t at = i + (closes ? 2 : 1);
    std::string name;
    while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at]))) {
      name += text[at++];
    }
    if (name.empty()) return "bare <";
    std::vector<std::string> attributes;
    while (at < text.size() && text[at] == ' ') {
      std::string attribute;
      for (++at; at < text.size() && text[at] != '='; ++at) attribute += text[at];
      if (text.substr(at, 2) != "=\"") return "attribute without quotes in " + name;
      const std::size_t end = text.find('"', at + 2);
      const std::string_view value = text.substr(at + 2, end - at - 2);
      if (end == text.npos || value.find('<') != value.npos) return "bad attribute in " + name;
      for (std::size_t j = at + 2; j < end; ++j) {
        if (text[j] == '&' && !entity_at(j)) return "bare & in an attribute";
      }
      for (const std::string& other : attributes) {
        if (other == attribute) return "attribute twice: " + attribute;
      }
      attributes.push_back(attribute);
      at = end + 1;
    }
    const bool empty = text.substr(at).starts_with("/>");
    at += empty ? 1 : 0;
    if (at >= text.size() || text[at] != '>') return "tag without end: " + name;
    if (closes) {
      if (open.empty() || open.back() != name) return "</" + name + "> closes nothing";
      open.pop_back();
    } else {
      roots += open.empty();
      if (!empty) open.push_back(name);
    }
    i = at;
  }
  if (!open.empty()) return open.back() + " is not closed";
  if (roots != 1) return std::to_string(roots) + " roots";
  return std::nullopt;
}

int count(std::string_view text, std::string_view part) {
  int n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++n;
  return n;
}

using Strings = std::vector<std::string>;

const Strings hostile = {"<b>", "a&b\"'", "\x1b[0m", "\xFF\xFE", "日本語", ""};

}  // namespace

TEST_CASE("The check of XML finds faults") {
  CHECK_FALSE(xml_fault("<a b=\"1\"><c/>x &amp; y</a>\n").has_value());
  for (const char* bad : {"<a>", "<a></b>", "<a b=1/>", "<a>&</a>", "<a><</a>", "<a/><a/>", "x",
                          "<a b=\"1\" b=\"2\"/>", "<a>\x01</a>", "<a b=\"&\"/>", "</a>", "<a"}) {
    CAPTURE(bad);
    CHECK(xml_fault(bad).has_value());
  }
}

TEST_CASE("Text is escaped for XML") {
  CHECK(xml_escape("<a href=\"x\">&'") == "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  CHECK(xml_escape("日\x01\xFF") == "日\uFFFD\uFFFD");
}

TEST_CASE("A heat map shows every weight") {
  const Strings rows = {"the", "cat", "."}, cols = {"le", "chat"};
  const std::vector<float> weights = {1, 0, 0.25f, 0.75f, 0.5f, 0.5f};
  const std::string svg = attention_svg(rows, cols, weights);
  CHECK(xml_fault(svg).value_or("") == "");
  CHECK(count(svg, "<title>cat, chat: 0.750</title>") == 1);
  CHECK(count(svg, "stroke=\"#ddd\"") == 6);
  CHECK_THAT(svg, Contains(">the</text>") && Contains(">chat</text>"));
  CHECK_THAT(svg, Contains("fill=\"#08306b\" stroke=\"#ddd\"><title>the, le: 1.000"));
  CHECK_THAT(svg, Contains("fill=\"#ffffff\" stroke=\"#ddd\"><title>the, chat: 0.000"));
  // A background of its own: on a dark page the labels stay legible.
  CHECK_THAT(svg, Contains("fill=\"#fff\"/>"));
}

TEST_CASE("A heat map's scale ends at a round number") {
  const auto top = [](float largest) {
    const std::string svg =
        attention_svg(Strings{"r"}, Strings{"a", "b"}, std::vector{largest, 0.f});
    const std::size_t end = svg.rfind("</text>");
    const std::size_t start = svg.rfind('>', end) + 1;
    return svg.substr(start, end - start);
  };
  CHECK(top(1) == "1");
  CHECK(top(1.0000001f) == "1");
  CHECK(top(0.6f) == "1");
  CHECK(top(0.3f) == "0.5");
  CHECK(top(0.02f) == "0.02");
  CHECK(top(0) == "1");
}

TEST_CASE("Hostile labels and weights make no bad document") {
  const std::vector<float> weights(hostile.size() * hostile.size(),
                                   std::numeric_limits<float>::quiet_NaN());
  const std::string svg = attention_svg(hostile, hostile, weights);
  CHECK(xml_fault(svg).value_or("") == "");
  CHECK(count(svg, "#d62728") == 36);
  const std::string long_label(500, 'x');
  const std::string cut = attention_svg(Strings{long_label}, Strings{"a"}, std::vector{0.5f});
  CHECK_THAT(cut, Contains(">" + std::string(23, 'x') + "…</text>"));
  CHECK(xml_fault(attention_svg({}, {}, {})).value_or("") == "");
  CHECK_THROWS_AS(attention_svg(Strings{"a"}, Strings{"b"}, {}), std::invalid_argument);
}

TEST_CASE("Attention in the terminal") {
  const Strings rows = {"the", "猫", "!"}, cols = {"猫", "is"};
  const std::vector<float> weights = {0.01f, 0.1f, 0.3f, 0.6f, 0.9f, NAN};
  CHECK(attention_terminal(rows, cols, weights, true) ==
        "      i\n"
        "    猫s\n"
        "the · ░░\n"
        " 猫 ▒▒▓▓\n"
        "  ! ██! \n");
  CHECK(attention_terminal(rows, cols, weights, false) ==
        "      i\n"
        "    ? s\n"
        "the . : \n"
        "  ? + * \n"
        "  ! # ! \n");
  const std::vector<float> many(36, 0.5f);
  for (const bool unicode : {false, true}) {
    const std::string text = attention_terminal(hostile, hostile, many, unicode);
    CHECK(is_valid_utf8(text));
    CHECK(text.find('\x1b') == std::string::npos);
  }
  CHECK(attention_terminal({}, {}, {}, true).empty());
  CHECK_THROWS_AS(attention_terminal(rows, cols, {}, true), std::invalid_argument);
}

TEST_CASE("Ticks are round numbers within the range") {
  const auto close = [](const std::vector<double>& a, const std::vector<double>& b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (std::abs(a[i] - b[i]) > 1e-9 * (1 + std::abs(b[i]))) return false;
    }
    return true;
  };
  CHECK(close(nice_ticks(0, 10, 5), {0, 2, 4, 6, 8, 10}));
  CHECK(close(nice_ticks(0.13, 0.98, 5), {0.2, 0.4, 0.6, 0.8}));
  CHECK(close(nice_ticks(-1500, 1500, 6), {-1500, -1000, -500, 0, 500, 1000, 1500}));
  CHECK(close(nice_ticks(3, 3, 5), {3}));
  CHECK(nice_ticks(1e9, 1e9 + 7, 5).size() >= 3);
  // No range makes it run for ever.
  CHECK(nice_ticks(1e20, std::nextafter(1e20, 2e20), 5).size() == 1);
  CHECK(nice_ticks(0, 5e-324, 5).size() == 1);
  CHECK(nice_ticks(-1.7e308, 1.7e308, 5).size() == 1);
  CHECK(nice_ticks(nan_value, 1, 5).size() == 1);
}

TEST_CASE("A line plot shows every series") {
  const std::vector<Series> series = {{"train", {0, 1, 2, 3}, {4, 3, 2, 1}},
                                      {"valid & test", {0, 1, 2, 3}, {4, 3.5, nan_value, 3}}};
  const std::string svg = line_plot_svg("Loss <1>", "step", "nats", series);
  CHECK(xml_fault(svg).value_or("") == "");
  CHECK_THAT(svg,
             Contains("Loss &lt;1&gt;") && Contains(">step</text>") && Contains(">nats</text>"));
  CHECK_THAT(svg, Contains(">train</text>") && Contains(">valid &amp; test</text>"));
  CHECK(count(svg, "<circle") == 5);   // four points and the legend
  CHECK(count(svg, "h6.4v6.4") == 4);  // three points and the legend: squares for the second
  CHECK(count(svg, "nan") == 0);
  // The line is broken at the point that is no number: one of two starts is after it.
  const std::size_t start = svg.find("stroke=\"#d55e00\"");
  const std::size_t path = svg.rfind("<path", start);
  CHECK(count(svg.substr(path, start - path), "M") == 2);
}

TEST_CASE("Line plots of little and of odd data") {
  const auto fault = [](const std::vector<Series>& series) {
    const std::string svg = line_plot_svg("", "", "", series);
    return xml_fault(svg).value_or(count(svg, "inf") + count(svg, "nan") > 0 ? "not finite" : "");
  };
  CHECK(fault({}) == "");
  CHECK(fault({{"none", {}, {}}}) == "");
  CHECK(fault({{"one", {3}, {0}}}) == "");
  CHECK(fault({{"level", {1, 2}, {1e9, 1e9}}}) == "");
  CHECK(fault({{"lost", {1, 2}, {nan_value, HUGE_VAL}}}) == "");
  CHECK(fault({{"tiny", {1, 2}, {1e-300, 2e-300}}}) == "");
  CHECK(fault({{"least", {0, 5e-324}, {5e-324, 0}}}) == "");
  CHECK(fault({{"huge", {-1.7e308, 1.7e308}, {1, 2}}, {"large", {1, 2}, {-9e299, 9e299}}}) == "");
  std::vector<Series> many;
  for (int i = 0; i < 50; ++i)
    many.push_back({hostile[static_cast<std::size_t>(i) % 6], {0, 1}, {0, 1.0 * i}});
  CHECK(fault(many) == "");
  CHECK_THROWS_WITH(line_plot_svg("", "", "", std::vector<Series>{{"odd", {1, 2}, {1}}}),
                    Contains("\"odd\" has 2 x, but 1 y"));
}

TEST_CASE("Numbers at the ticks") {
  const auto plot = [](double low, double high) {
    return line_plot_svg("", "", "", std::vector<Series>{{"s", {low, high}, {0, 1}}});
  };
  CHECK_THAT(plot(0, 60000), Contains(">20,000</text>"));
  CHECK_THAT(plot(0, 20000), Contains(">5,000</text>") && Contains(">10,000</text>"));
  CHECK_THAT(plot(0, 9000), Contains(">8000</text>"));
  CHECK_THAT(plot(-60000, 0), Contains(">-20,000</text>"));
  CHECK_THAT(plot(0, 3e6), Contains(">1,000,000</text>"));
  CHECK_THAT(plot(0, 0.06), Contains(">0.02</text>"));
  CHECK_THAT(plot(-0.3, 0.3), Contains(">0.0</text>") && !Contains(">-0.0<"));
}
