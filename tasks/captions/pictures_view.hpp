// A view of the report: captioned pictures with the attention of each word.
#pragma once

#include "tasks/images/images.hpp"
#include "tasks/report/report.hpp"

namespace rapt::tasks {

/// A picture, its caption, and the attention weights of each word.
struct PictureSample {
  std::string name;
  Image image;
  std::vector<std::string> references;  // for display only
  std::vector<std::string> words;
  std::int64_t grid_height = 0, grid_width = 0;  // cells divide the picture evenly
  std::vector<float> weights;                    // [words, grid_height, grid_width]
};
/// Returns a view that draws the attention of one word at a time on its picture. Throws
/// std::invalid_argument if the sizes of a sample do not match or a weight is not finite.
ReportView pictures_view(std::string title, std::span<const PictureSample> samples);

}  // namespace rapt::tasks
