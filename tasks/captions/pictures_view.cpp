#include "tasks/captions/pictures_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

namespace rapt::tasks {
namespace {

using Json = nlohmann::ordered_json;

constexpr double weight_unit = 1e-4;

Json weights_of(std::span<const float> weights) {
  Json list = Json::array();
  for (const float weight : weights) list.push_back(std::lround(double{weight} / weight_unit));
  return list;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view part = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < part.size() ? static_cast<std::uint8_t>(part[k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= part.size() ? digits[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

}  // namespace

ReportView pictures_view(std::string title, std::span<const PictureSample> samples) {
  Json list = Json::array();
  for (const PictureSample& sample : samples) {
    const auto places = static_cast<std::size_t>(sample.grid_height * sample.grid_width);
    const bool finite = std::all_of(sample.weights.begin(), sample.weights.end(),
                                    [](float weight) { return std::isfinite(weight); });
    if (places == 0 || sample.weights.size() != sample.words.size() * places || !finite) {
      throw std::invalid_argument(fmt::format(
          "{}: {} weights for {} words that look at {} x {}, finite ones", sample.name,
          sample.weights.size(), sample.words.size(), sample.grid_height, sample.grid_width));
    }
    Json looks = Json::array();
    for (std::size_t i = 0; i < sample.words.size(); ++i) {
      looks.push_back(weights_of(std::span(sample.weights).subspan(i * places, places)));
    }
    list.push_back({{"name", sample.name},
                    {"picture", "data:image/png;base64," + base64(png_of(sample.image))},
                    {"size", {sample.image.height, sample.image.width}},
                    {"references", sample.references},
                    {"words", sample.words},
                    {"grid", {sample.grid_height, sample.grid_width}},
                    {"looks", std::move(looks)}});
  }
  const Json data{{"unit", weight_unit}, {"samples", std::move(list)}};
  return {"pictures", std::move(title), data.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

}  // namespace rapt::tasks
