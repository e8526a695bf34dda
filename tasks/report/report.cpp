#include "tasks/report/report.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tasks/data/files.hpp"
#include "tasks/report/report_files.hpp"

namespace rapt::tasks {
namespace {

using Json = nlohmann::ordered_json;

/// Weights are stored as multiples of this unit, which keeps a page with many heads small.
constexpr double weight_unit = 1e-4;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Escapes JSON for a script element, so that it cannot end the element or start a comment.
std::string script_text(const std::string& json) {
  std::string text;
  for (const char c : json) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

Json finite(std::span<const double> values) {
  Json list = Json::array();
  for (const double value : values) {
    list.push_back(std::isfinite(value) ? Json(value) : Json(nullptr));
  }
  return list;
}

Json weights_of(std::span<const float> weights) {
  Json list = Json::array();
  for (const float value : weights) {
    const auto weight = static_cast<double>(value);
    list.push_back(std::isfinite(weight) ? Json(std::lround(weight / weight_unit)) : Json(nullptr));
  }
  return list;
}

Json heads_of(const AttentionMap& map) {
  const std::size_t size = map.rows.size() * map.columns.size();
  if (size == 0 || map.weights.empty() || map.weights.size() % size != 0) {
    throw std::invalid_argument(
        fmt::format("{}: {} weights do not fill heads of {} rows and {} columns", map.layer,
                    map.weights.size(), map.rows.size(), map.columns.size()));
  }
  Json heads = Json::array();
  for (std::size_t begin = 0; begin < map.weights.size(); begin += size) {
    heads.push_back(weights_of(std::span(map.weights).subspan(begin, size)));
  }
  return heads;
}

/// Replaces each {{name}} of the template, in one pass: inserted text is not scanned again.
std::string filled(std::string_view text,
                   std::initializer_list<std::pair<std::string_view, std::string_view>> values) {
  std::string result;
  while (true) {
    const std::size_t begin = text.find("{{");
    result += text.substr(0, begin);
    if (begin == std::string_view::npos) return result;
    const std::size_t end = text.find("}}", begin);
    const std::string_view name = text.substr(begin + 2, end - begin - 2);
    for (const auto& [known, value] : values) {
      if (known == name) result += value;
    }
    text.remove_prefix(end + 2);
  }
}

}  // namespace

ReportView facts_view(std::span<const Fact> facts) {
  Json list = Json::array();
  for (const Fact& fact : facts) list.push_back({{"label", fact.label}, {"value", fact.value}});
  return {"facts", "", text_of(list)};
}

ReportView notes_view(std::string title, std::span<const Note> notes) {
  Json list = Json::array();
  for (const Note& note : notes) list.push_back({{"step", note.step}, {"text", note.text}});
  return {"notes", std::move(title), text_of(list)};
}

ReportView curves_view(std::string title, std::string x_label, std::span<const CurvePanel> panels) {
  Json list = Json::array();
  for (const CurvePanel& panel : panels) {
    Json series = Json::array();
    for (const Series& s : panel.series) {
      if (s.x.size() != s.y.size()) {
        throw std::invalid_argument(
            fmt::format("curves: {} has {} x, but {} y", s.name, s.x.size(), s.y.size()));
      }
      series.push_back({{"name", s.name}, {"x", finite(s.x)}, {"y", finite(s.y)}});
    }
    list.push_back({{"title", panel.title}, {"series", std::move(series)}});
  }
  const Json data{{"x_label", std::move(x_label)}, {"panels", std::move(list)}};
  return {"curves", std::move(title), text_of(data)};
}

ReportView attention_view(std::string title, std::span<const AttentionSample> samples) {
  Json list = Json::array();
  for (const AttentionSample& sample : samples) {
    Json maps = Json::array();
    for (const AttentionMap& map : sample.maps) {
      maps.push_back({{"layer", map.layer},
                      {"rows", map.rows},
                      {"columns", map.columns},
                      {"heads", heads_of(map)}});
    }
    list.push_back({{"source", sample.source},
                    {"reference", sample.reference},
                    {"translation", sample.translation},
                    {"maps", std::move(maps)}});
  }
  const Json data{{"unit", weight_unit}, {"samples", std::move(list)}};
  return {"attention", std::move(title), text_of(data)};
}

std::string report_page(const std::string& title, const std::string& subtitle,
                        std::span<const ReportView> views) {
  std::string sections;
  for (const ReportView& view : views) {
    const std::string heading =
        view.title.empty() ? "" : fmt::format("<h2>{}</h2>\n", xml_escape(view.title));
    sections += fmt::format(
        "<section data-kind=\"{}\">\n{}<div class=\"view\"></div>\n"
        "<script type=\"application/json\">{}</script>\n</section>\n",
        xml_escape(view.kind), heading, script_text(view.data));
  }
  std::string script;
  for (const char* name :
       {"page.js", "facts.js", "curves.js", "attention.js", "pictures.js", "spectrogram.js"}) {
    script += report_file(name);
  }
  return filled(report_file("page.html"), {{"title", xml_escape(title)},
                                           {"subtitle", xml_escape(subtitle)},
                                           {"style", report_file("page.css")},
                                           {"sections", sections},
                                           {"script", script}});
}

void write_report(const std::string& folder, const std::string& page) {
  std::filesystem::create_directories(folder);
  write_file_atomically(folder + "/index.html", page);
}

}  // namespace rapt::tasks
