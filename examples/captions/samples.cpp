#include "samples.hpp"

#include <fmt/format.h>

#include <charconv>
#include <rapt/framework/error.hpp>

namespace rapt::examples {

PictureSize picture_size(const std::string& text) {
  const auto number = [&](std::string_view part) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), n);
    if (part.empty() || error != std::errc() || end != part.data() + part.size() || n < 1 ||
        n > 4096) {
      throw Error(fmt::format(
          "the size '{}' is none: expected HEIGHTxWIDTH or one number, 1 to 4096 pixels", text));
    }
    return n;
  };
  const std::size_t cross = text.find('x');
  const std::string_view all = text;
  if (cross == text.npos) return {number(all), number(all)};
  return {number(all.substr(0, cross)), number(all.substr(cross + 1))};
}

BeamOptions search_options(std::int64_t beam, double length_penalty, std::int64_t max_length) {
  return {.beam = beam,
          .begin = Vocabulary::begin,
          .end = Vocabulary::end,
          .pad = Vocabulary::pad,
          .never = {Vocabulary::unknown},
          .norm = length_penalty == 0 ? LengthNorm::none : LengthNorm::power,
          .alpha = length_penalty,
          .length_factor = 0,
          .length_extra = max_length,
          .max_length = max_length};
}

std::vector<ReportView> sample_views(const CaptionModel&, const std::vector<ListedImage>&,
                                     const LoadedPictures&) {
  return {};
}

}  // namespace rapt::examples
