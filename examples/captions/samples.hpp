// Functions shared by the subcommands of the captions program.
#pragma once

#include <string>
#include <vector>

#include "tasks/captions/caption_attention.hpp"
#include "tasks/captions/caption_model.hpp"
#include "tasks/captions/pictures_view.hpp"

namespace rapt::examples {
using namespace tasks;

/// Parses "HEIGHTxWIDTH", or one number for both. Throws Error for anything else.
PictureSize picture_size(const std::string& text);

/// Returns the size of the pictures that a model reads.
PictureSize size_of(const CaptionModel& model);

/// Returns a view of some of the pictures with the model's captions and the attention of each word.
std::vector<ReportView> sample_views(const CaptionModel& model,
                                     const std::vector<ListedImage>& list,
                                     const LoadedPictures& pictures);

}  // namespace rapt::examples
