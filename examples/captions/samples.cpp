#include "examples/captions/samples.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "framework/core/error.hpp"

namespace rapt::examples {
using namespace tasks;

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

PictureSize size_of(const CaptionModel& model) {
  return {model.encoder().height, model.encoder().width};
}

std::vector<ReportView> sample_views(const CaptionModel& model,
                                     const std::vector<ListedImage>& list,
                                     const LoadedPictures& pictures) {
  constexpr std::size_t most_samples = 8;
  const std::size_t count = std::min(most_samples, list.size());
  std::vector<Image> images;
  std::vector<PictureSample> samples;
  for (std::size_t n = 0; n < count; ++n) {
    const std::size_t i = n * list.size() / count;
    images.push_back(pictures.images[i]);
    PictureSample& sample = samples.emplace_back(PictureSample{.name = list[i].name,
                                                               .image = images.back(),
                                                               .references = {},
                                                               .words = {},
                                                               .weights = {}});
    for (const ListedCaption& caption : list[i].captions) {
      sample.references.push_back(caption.text);
    }
  }
  const auto batch = static_cast<std::int64_t>(count);
  const std::vector<CaptionIds> captions =
      search_captions({{model.net, images}}, batch, caption_search(3, 1, 40));
  const auto looks = looked_at(model.net, images, captions, batch);
  for (std::size_t n = 0; n < count; ++n) {
    samples[n].words = model.words.decode(captions[n]);
    samples[n].grid_height = model.encoder().grid_height();
    samples[n].grid_width = model.encoder().grid_width();
    samples[n].weights = looks[n];
  }
  return {pictures_view("What each word looks at", samples)};
}

}  // namespace rapt::examples
