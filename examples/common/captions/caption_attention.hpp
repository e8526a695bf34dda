// What each word of a caption looked at, on disk, and whether that was what the word speaks of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/common/captions/caption_data.hpp"

namespace rapt::examples {

/// Of one picture's caption. The grid's places divide the picture evenly.
struct CaptionLooks {
  std::string image;  // the name in the list
  std::vector<std::string> words;
  std::int64_t grid_height = 0, grid_width = 0;
  PictureSize size;            // of the picture as it was listed, in pixels
  std::vector<float> weights;  // [words, grid_height, grid_width]
};

/// A JSON object, in one line: {"image", "words", "grid": [height, width], "size": [height, width],
/// "attention": [[a weight for each place, row by row], ...]}.
std::string looks_line(const CaptionLooks& looks);

/// Reads a file of such lines. Throws TextError, with file and line, where one is anything else.
std::vector<CaptionLooks> read_looks(const std::string& path);

/// How often the place that a word looked at most lies in the box of the object it speaks of.
struct Pointing {
  std::int64_t words = 0;   // that the list's captions say of an object
  std::int64_t same = 0;    // of which the caption has the same one in the same place
  std::int64_t inside = 0;  // of which the peak's middle lies in the box

  /// inside / same, 0 .. 100.
  double share() const;
};

/// Counts them, of the first caption of each picture of the list. Throws TextError where the list
/// has no objects, or lacks a picture.
Pointing pointing(const std::vector<CaptionLooks>& looks, const std::vector<ListedImage>& list,
                  const std::string& list_path);

}  // namespace rapt::examples
