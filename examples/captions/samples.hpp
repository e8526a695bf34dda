// What the subcommands of the captions program share.
#pragma once

#include <string>
#include <vector>

#include "examples/common/captions/caption_attention.hpp"
#include "examples/common/captions/caption_model.hpp"
#include "examples/common/report/pictures_view.hpp"

namespace rapt::examples {

/// "HEIGHTxWIDTH", or one number for both. Throws Error where it is neither.
PictureSize picture_size(const std::string& text);

/// A search that writes no <unk>.
BeamOptions search_options(std::int64_t beam, double length_penalty, std::int64_t max_length);

/// A view of some of the pictures, and what the model says of them and looks at, word by word.
std::vector<ReportView> sample_views(const CaptionModel& model,
                                     const std::vector<ListedImage>& list,
                                     const LoadedPictures& pictures);

}  // namespace rapt::examples
