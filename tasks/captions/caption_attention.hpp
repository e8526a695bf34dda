// The attention weights of captions as files, and a check whether words attend to their objects.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/captions/caption_data.hpp"

namespace rapt::tasks {

/// The attention of one picture's caption. The grid's cells divide the picture evenly.
struct CaptionLooks {
  std::string image;  // the name in the list
  std::vector<std::string> words;
  std::int64_t grid_height = 0, grid_width = 0;
  PictureSize size;            // of the original picture, in pixels
  std::vector<float> weights;  // [words, grid_height, grid_width]
};

/// Returns one line with a JSON object: {"image", "words", "grid": [height, width], "size":
/// [height, width], "attention": [[one weight per cell, row by row], ...]}.
std::string looks_line(const CaptionLooks& looks);

/// Reads a file of such lines. Throws TextError with file and line if a line is anything else.
std::vector<CaptionLooks> read_looks(const std::string& path);

/// Counts how often the cell with a word's largest weight lies in the box of the word's object.
struct Pointing {
  std::int64_t words = 0;   // words of the list's captions that name an object
  std::int64_t same = 0;    // those that the caption has at the same index
  std::int64_t inside = 0;  // those whose largest weight's cell has its centre in the box

  /// Returns inside / same in percent, 0 .. 100.
  double share() const;
};

/// Counts these words in the first caption of each picture of the list. Throws TextError if the
/// list has no objects or lacks a picture.
Pointing pointing(const std::vector<CaptionLooks>& looks, const std::vector<ListedImage>& list,
                  const std::string& list_path);

}  // namespace rapt::tasks
