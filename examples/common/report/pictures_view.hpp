// A view of the report: where in a picture each word of its caption looked.
#pragma once

#include "examples/common/images/images.hpp"
#include "examples/common/report/report.hpp"

namespace rapt::examples {

/// A picture, a caption of it, and where in the picture each of its words looked.
struct PictureSample {
  std::string name;
  Image image;
  std::vector<std::string> references;  // for people to read
  std::vector<std::string> words;
  std::int64_t grid_height = 0, grid_width = 0;  // which divide the picture evenly
  std::vector<float> weights;                    // [words, grid_height, grid_width]
};
/// Pictures with what one word at a time looked at, drawn on them. Throws std::invalid_argument
/// where a sample's sizes do
/// not fit, or a weight is not finite.
ReportView pictures_view(std::string title, std::span<const PictureSample> samples);

}  // namespace rapt::examples
