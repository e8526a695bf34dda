// Reads captions in the JSON format of the COCO data set (Lin et al. 2014).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/text/text_error.hpp"

namespace rapt::tasks {

struct CocoCaption {
  std::string text;
  std::int64_t number = 0;  // among the annotations, from 1
};

struct CocoImage {
  std::string name;  // of the file
  std::vector<CocoCaption> captions;
};

/// Reads an object with "images" (each with "id" and "file_name") and "annotations" (each with
/// "image_id" and "caption"). Entries keep the order of "images"; images without captions are left
/// out, unless no captions are wanted. Throws TextError for other text. It says which annotation is
/// wrong, or with `skip_bad` such annotations are left out and counted.
std::vector<CocoImage> read_coco(const std::string& path, std::string_view json, bool captions,
                                 bool skip_bad, SkipReport& skipped);

}  // namespace rapt::tasks
