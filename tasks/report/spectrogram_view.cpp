#include "tasks/report/spectrogram_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace rapt::tasks {
namespace {

using Json = nlohmann::json;

constexpr int steps = 99;  // quantisation steps of a value or a weight in the page

Json steps_of(std::span<const float> values, float low, float high) {
  Json all = Json::array();
  for (const float value : values) {
    const float share = high > low ? (value - low) / (high - low) : 0.f;
    all.push_back(static_cast<int>(std::lround(std::clamp(share, 0.f, 1.f) * steps)));
  }
  return all;
}

Json json_of(const SpectrogramSample& sample) {
  const auto bands = static_cast<std::size_t>(sample.bands);
  const auto finite = [](float x) { return std::isfinite(x); };
  if (bands == 0 || sample.values.empty() || sample.values.size() % bands != 0 ||
      sample.tokens.empty() || sample.weights.size() % sample.tokens.size() != 0 ||
      !std::all_of(sample.values.begin(), sample.values.end(), finite) ||
      !std::all_of(sample.weights.begin(), sample.weights.end(), finite)) {
    throw std::invalid_argument(fmt::format(
        "a spectrogram of {} values in {} bands, and {} weights of {} tokens, finite ones",
        sample.values.size(), bands, sample.weights.size(), sample.tokens.size()));
  }
  const auto [low, high] = std::minmax_element(sample.values.begin(), sample.values.end());
  Json marks = Json::array();
  for (const auto& mark : sample.marks) {
    marks.push_back({{"token", mark.token}, {"seconds", mark.seconds}});
  }
  return {{"reference", sample.reference},
          {"recognised", sample.recognised},
          {"seconds", sample.seconds},
          {"bands", bands},
          {"values", steps_of(sample.values, *low, *high)},
          {"tokens", sample.tokens},
          {"weights", steps_of(sample.weights, 0, 1)},
          {"marks", marks}};
}

}  // namespace

ReportView spectrogram_view(std::string title, std::span<const SpectrogramSample> samples) {
  Json all = Json::array();
  for (const SpectrogramSample& sample : samples) all.push_back(json_of(sample));
  const Json data{{"steps", steps}, {"samples", all}};
  return {"spectrogram", std::move(title),
          data.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

}  // namespace rapt::tasks
