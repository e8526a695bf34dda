// Pictures with captions: lists of them, the pictures themselves, and where things lie in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/common/images/images.hpp"
#include "examples/common/text/text.hpp"

namespace rapt::examples {

/// Part of a picture: the pixels y .. y + height - 1, x .. x + width - 1.
struct Box {
  std::int64_t y = 0, x = 0, height = 0, width = 0;

  bool contains(double at_y, double at_x) const {
    return at_y >= static_cast<double>(y) && at_y <= static_cast<double>(y + height - 1) &&
           at_x >= static_cast<double>(x) && at_x <= static_cast<double>(x + width - 1);
  }
};

/// The middle of a cell of a grid that divides a side evenly, in pixels.
inline double middle_of(std::int64_t cell, std::int64_t cells, std::int64_t side) {
  return (static_cast<double>(cell) + 0.5) * static_cast<double>(side) /
             static_cast<double>(cells) -
         0.5;
}

struct ListedCaption {
  std::string text;
  std::int64_t line = 0;  // of the list
  /// Where the list says them: what lies where, and which of it each word speaks of (-1: none).
  std::vector<Box> objects = {};
  std::vector<std::int64_t> object_of_word = {};
};

/// A picture of a list.
struct ListedImage {
  std::string name;       // a file's, or a row of a tensor
  std::int64_t line = 0;  // where it comes first
  std::vector<ListedCaption> captions;
};

struct ListOptions {
  bool captions = true;        // whether each line has to have a caption
  bool skip_bad = false;       // whether a line with a fault is skipped and counted
  std::int64_t box_size = 28;  // of objects, which a list has the upper left corners of
};

/// Reads a list of captions, UTF-8 and plain or gzip, with tabs between its columns. How
/// many columns its first line has (with skip_bad: most lines) says what they are: 1 image; 2
/// image, caption; 3 image, number, caption; 4 image, caption, objects "name,..,y,x;..", and for
/// each word the number of the object that it speaks of, or -1. Lines of one image, wherever they
/// stand, are one entry, in the order of first lines.
///
/// Throws TextError, with file and line: as read_lines, another number of columns, no image, no
/// words, a number that is none, as many words as numbers, an object that is not there; and where
/// nothing is left.
std::vector<ListedImage> read_caption_list(const std::string& path, const ListOptions& options,
                                           SkipReport& skipped);

/// Where the pictures of a list are.
class Pictures {
 public:
  /// A folder of JPEG and PNG, or a file of raw pictures of this size, which is read at once.
  /// Throws TextError where it is neither, and as read_image_tensor.
  Pictures(const std::string& path, std::int64_t raw_height, std::int64_t raw_width);

  /// The picture of that name, in the folder or, a number from 0, in the file. Throws TextError.
  Image get(const std::string& name) const;

 private:
  std::string path_;
  bool folder_ = false;
  ImageTensor tensor_;
};

struct PictureSize {
  std::int64_t height = 0, width = 0;
};

/// The pictures of a list, in their order.
struct LoadedPictures {
  std::vector<Image> images;
  std::vector<PictureSize> sizes;  // that they had before
};

/// The pictures of the list, resized. With skip_bad, images that cannot be read are counted and
/// taken out of `list`; without, throws TextError with the list's file and line. Throws TextError
/// where none is left.
LoadedPictures load_pictures(const Pictures& from, std::vector<ListedImage>& list,
                             const std::string& list_path, PictureSize size, bool skip_bad,
                             SkipReport& skipped);

}  // namespace rapt::examples
