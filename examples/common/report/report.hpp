// A page about a training run: one HTML file that needs nothing else, no network either.
//
// It is a list of views. What a view shows is JSON, made by a function here; what draws it is a
// script in examples/common/report/, found by the view's kind. A new view is one more of each.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "examples/common/draw/svg.hpp"

namespace rapt::examples {

struct ReportView {
  std::string kind;   // the name under which a script of report/ has added itself to `views`
  std::string title;  // a heading; empty: none
  std::string data;   // JSON
};

struct Fact {
  std::string label, value;
};
/// Figures that matter, as tiles.
ReportView facts_view(std::span<const Fact> facts);

struct Note {
  std::int64_t step;
  std::string text;
};
/// Lines of text, each of a step.
ReportView notes_view(std::string title, std::span<const Note> notes);

struct CurvePanel {
  std::string title;
  std::vector<Series> series;
};
/// Curves that share their x axis. A point that is not finite is left out. Throws
/// std::invalid_argument where a series has not as many x as y.
ReportView curves_view(std::string title, std::string x_label, std::span<const CurvePanel> panels);

/// Where the heads of one layer looked.
struct AttentionMap {
  std::string layer;
  std::vector<std::string> rows;     // the tokens that look
  std::vector<std::string> columns;  // the tokens that they look at
  std::vector<float> weights;        // [heads, rows, columns]; a finite weight is in [0, 1]
};
struct AttentionSample {
  std::string source, reference, translation;  // for people to read; empty: left out
  std::vector<AttentionMap> maps;              // one a layer
};
/// Attention maps with a picker of sentence, layer and head. Throws std::invalid_argument where a
/// map's sizes do not fit, or it has no weights.
ReportView attention_view(std::string title, std::span<const AttentionSample> samples);

/// The whole page. Texts may hold anything: they cannot become markup, and bytes that are no UTF-8
/// are replaced.
std::string report_page(const std::string& title, const std::string& subtitle,
                        std::span<const ReportView> views);

/// Writes the page as FOLDER/index.html, making the folder; as a whole, or not at all. Throws
/// std::runtime_error where it cannot.
void write_report(const std::string& folder, const std::string& page);

}  // namespace rapt::examples
