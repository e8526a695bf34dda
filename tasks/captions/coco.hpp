// Reads lists of captions in the JSON format of the COCO data set (Lin et al. 2014).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tasks/captions/caption_data.hpp"

namespace rapt::tasks {

/// Reads an object with "images" (each with "id" and "file_name") and "annotations" (each with
/// "image_id" and "caption"). Entries keep the order of "images"; images without captions are left
/// out. A caption's line is its number among the annotations, from 1. Throws TextError for other
/// text. It says which annotation is wrong, or with skip_bad such annotations are counted.
std::vector<ListedImage> read_coco(const std::string& path, std::string_view json,
                                   const ListOptions& options, SkipReport& skipped);

}  // namespace rapt::tasks
