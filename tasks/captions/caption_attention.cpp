#include "tasks/captions/caption_attention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "tasks/text/unicode.hpp"

namespace rapt::tasks {

using nlohmann::json;

std::string looks_line(const CaptionLooks& looks) {
  json attention = json::array();
  const auto places = static_cast<std::size_t>(looks.grid_height * looks.grid_width);
  for (std::size_t word = 0; word < looks.words.size(); ++word) {
    json row = json::array();
    for (std::size_t i = 0; i < places; ++i) {
      // Rounded to 1e-4: precise enough, and short.
      row.push_back(std::round(double{looks.weights[word * places + i]} * 1e4) / 1e4);
    }
    attention.push_back(std::move(row));
  }
  const json line{{"image", looks.image},
                  {"words", looks.words},
                  {"grid", {looks.grid_height, looks.grid_width}},
                  {"size", {looks.size.height, looks.size.width}},
                  {"attention", std::move(attention)}};
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

namespace {

CaptionLooks looks_from(const json& line) {
  CaptionLooks looks{.image = line.at("image"),
                     .words = line.at("words"),
                     .grid_height = line.at("grid").at(0),
                     .grid_width = line.at("grid").at(1),
                     .size = {line.at("size").at(0), line.at("size").at(1)},
                     .weights = {}};
  const json& rows = line.at("attention");
  const bool sized = looks.grid_height > 0 && looks.grid_width > 0 && looks.size.height > 0 &&
                     looks.size.width > 0 && looks.grid_height <= 1 << 12 &&
                     looks.grid_width <= 1 << 12 && rows.size() == looks.words.size();
  if (!sized) throw std::invalid_argument("its sizes do not fit");
  for (const json& row : rows) {
    if (std::cmp_not_equal(row.size(), looks.grid_height * looks.grid_width)) {
      throw std::invalid_argument("a word has weights for another grid");
    }
    for (const json& weight : row) looks.weights.push_back(weight.get<float>());
  }
  return looks;
}

}  // namespace

std::vector<CaptionLooks> read_looks(const std::string& path) {
  std::vector<CaptionLooks> all;
  for (const Line& line : read_lines(path)) {
    try {
      all.push_back(looks_from(json::parse(line.text)));
    } catch (const json::exception&) {
      throw TextError(path, line.number, "is no line of attention weights");
    } catch (const std::invalid_argument& error) {
      throw TextError(path, line.number, error.what());
    }
  }
  return all;
}

double Pointing::share() const {
  return same == 0 ? 0 : 100 * static_cast<double>(inside) / static_cast<double>(same);
}

Pointing pointing(const std::vector<CaptionLooks>& looks, const std::vector<ListedImage>& list,
                  const std::string& list_path) {
  std::map<std::string, const ListedCaption*> captions;
  for (const ListedImage& image : list) {
    if (image.captions.empty() || image.captions[0].objects.empty()) {
      throw TextError(list_path, image.line, "does not say where objects are");
    }
    captions[image.name] = &image.captions[0];
  }
  Pointing counts;
  for (const CaptionLooks& one : looks) {
    const auto found = captions.find(one.image);
    if (found == captions.end()) {
      throw TextError(list_path, 0, fmt::format("has no picture '{}'", one.image));
    }
    const ListedCaption& right = *found->second;
    const Sentence words = split_white_space(right.text);
    const auto places = static_cast<std::ptrdiff_t>(one.grid_height * one.grid_width);
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (right.object_of_word[i] < 0) continue;
      ++counts.words;
      if (i >= one.words.size() || one.words[i] != words[i]) continue;
      ++counts.same;
      const auto row = one.weights.begin() + static_cast<std::ptrdiff_t>(i) * places;
      const std::ptrdiff_t peak = std::max_element(row, row + places) - row;
      const Box& box = right.objects[static_cast<std::size_t>(right.object_of_word[i])];
      counts.inside +=
          box.contains(middle_of(peak / one.grid_width, one.grid_height, one.size.height),
                       middle_of(peak % one.grid_width, one.grid_width, one.size.width));
    }
  }
  return counts;
}

}  // namespace rapt::tasks
