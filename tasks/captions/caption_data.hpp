// Pictures with captions: lists of captions, the pictures, and the positions of objects in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/images/images.hpp"
#include "tasks/text/text.hpp"

namespace rapt::tasks {

/// A rectangle of a picture: the pixels y .. y + height - 1, x .. x + width - 1.
struct Box {
  std::int64_t y = 0, x = 0, height = 0, width = 0;

  bool contains(double at_y, double at_x) const {
    return at_y >= static_cast<double>(y) && at_y <= static_cast<double>(y + height - 1) &&
           at_x >= static_cast<double>(x) && at_x <= static_cast<double>(x + width - 1);
  }
};

/// Returns the centre, in pixels, of a cell of a grid that divides a side evenly.
inline double middle_of(std::int64_t cell, std::int64_t cells, std::int64_t side) {
  return (static_cast<double>(cell) + 0.5) * static_cast<double>(side) /
             static_cast<double>(cells) -
         0.5;
}

struct ListedCaption {
  std::string text;
  std::int64_t line = 0;  // of the list
  /// The boxes of the objects, and the object that each word names (-1: none). Empty if not listed.
  std::vector<Box> objects = {};
  std::vector<std::int64_t> object_of_word = {};
};

/// One picture of a list.
struct ListedImage {
  std::string name;       // a file name, or a row of a raw picture file
  std::int64_t line = 0;  // of its first caption
  std::vector<ListedCaption> captions;
};

struct ListOptions {
  bool captions = true;        // true: each line must have a caption
  bool skip_bad = false;       // true: skips and counts bad lines
  std::int64_t box_size = 28;  // side of an object's box; a list gives its upper left corner
};

/// Reads a list of captions: UTF-8, plain or gzip, with columns separated by tabs. The number of
/// columns of the first line (with skip_bad: of most lines) determines their meaning:
/// - 1: image;
/// - 2: image, caption; the image may end in "#0" and so on, as in Flickr8k.token.txt;
/// - 3: image, number, caption;
/// - 4: image, caption, objects "name,..,y,x;..", and for each word its object's number or -1.
/// Lines of the same image become one entry, wherever they stand. Entries keep the order of first
/// lines. A file that begins with "{" is the JSON of COCO's captions; see read_coco().
///
/// Throws TextError with file and line as read_lines() does. Also throws it if a line has another
/// number of columns, no image, no words, a malformed number, an unknown object, or not one object
/// number per word. Throws it too if nothing is left.
std::vector<ListedImage> read_caption_list(const std::string& path, const ListOptions& options,
                                           SkipReport& skipped);

/// The source of a list's pictures.
class Pictures {
 public:
  /// Opens a folder of JPEG and PNG files, or reads a whole file of raw pictures of this size.
  /// Throws TextError if it is neither, and as read_image_tensor() does.
  Pictures(const std::string& path, std::int64_t raw_height, std::int64_t raw_width);

  /// Returns the named picture: a file of the folder, or a row number from 0. Throws TextError.
  Image get(const std::string& name) const;

 private:
  std::string path_;
  bool folder_ = false;
  ImageTensor tensor_;
};

struct PictureSize {
  std::int64_t height = 0, width = 0;
};

/// The pictures of a list, in the list's order.
struct LoadedPictures {
  std::vector<Image> images;
  std::vector<PictureSize> sizes;  // original sizes, before resizing
};

/// Loads and resizes the pictures of the list. With skip_bad, pictures that cannot be read are
/// counted and removed from `list`. Without it, throws TextError with the list's file and line.
/// Throws TextError if none is left.
LoadedPictures load_pictures(const Pictures& from, std::vector<ListedImage>& list,
                             const std::string& list_path, PictureSize size, bool skip_bad,
                             SkipReport& skipped);

}  // namespace rapt::tasks
