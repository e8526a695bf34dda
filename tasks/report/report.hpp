// A report about a training run: one self-contained HTML file that needs no network.
//
// It is a list of views. A function here turns the data of a view into JSON. A script in
// tasks/report/page/ draws it; the view's kind selects the script. A new view needs one
// of each.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tasks/draw/svg.hpp"

namespace rapt::tasks {

struct ReportView {
  std::string kind;   // the name under which a script of report/ registers in `views`
  std::string title;  // a heading; empty: none
  std::string data;   // JSON
};

struct Fact {
  std::string label, value;
};
/// Returns a view with key figures as tiles.
ReportView facts_view(std::span<const Fact> facts);

struct Note {
  std::int64_t step;
  std::string text;
};
/// Returns a view with lines of text, each with its step.
ReportView notes_view(std::string title, std::span<const Note> notes);

struct CurvePanel {
  std::string title;
  std::vector<Series> series;
};
/// Returns a view of curves that share their x axis. Points that are not finite are left out.
/// Throws std::invalid_argument if the x and y of a series differ in number.
ReportView curves_view(std::string title, std::string x_label, std::span<const CurvePanel> panels);

/// The attention weights of one layer's heads.
struct AttentionMap {
  std::string layer;
  std::vector<std::string> rows;     // the query tokens
  std::vector<std::string> columns;  // the key tokens
  std::vector<float> weights;        // [heads, rows, columns]; a finite weight is in [0, 1]
};
struct AttentionSample {
  std::string source, reference, translation;  // for display only; empty: left out
  std::vector<AttentionMap> maps;              // one per layer
};
/// Returns a view of attention maps, with controls to select sentence, layer and head. Throws
/// std::invalid_argument if a map has no weights or its sizes do not match.
ReportView attention_view(std::string title, std::span<const AttentionSample> samples);

/// Returns the whole page. Texts may hold anything: markup is escaped, and invalid UTF-8 bytes are
/// replaced.
std::string report_page(const std::string& title, const std::string& subtitle,
                        std::span<const ReportView> views);

/// Writes the page atomically as FOLDER/index.html and creates the folder if needed. Throws
/// std::runtime_error if it cannot.
void write_report(const std::string& folder, const std::string& page);

}  // namespace rapt::tasks
