#include "tasks/captions/caption_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string_view>

#include "tasks/captions/coco.hpp"
#include "tasks/images/image_changes.hpp"
#include "tasks/text/unicode.hpp"

namespace rapt::tasks {
namespace {

/// The fault of a line, without file and line.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::vector<std::string_view> parts_of(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(mark);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::int64_t number_of(std::string_view text, const char* what) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    throw Fault(fmt::format("{} is '{}', expected a whole number", what, text));
  }
  return n;
}

/// Parses "tile,colour,y,x;tile,colour,y,x".
std::vector<Box> boxes_of(std::string_view text, std::int64_t size) {
  std::vector<Box> boxes;
  for (const std::string_view object : parts_of(text, ';')) {
    const std::vector<std::string_view> fields = parts_of(object, ',');
    if (fields.size() < 2) throw Fault(fmt::format("the object '{}' has no y,x", object));
    boxes.push_back({number_of(fields[fields.size() - 2], "an object's y"),
                     number_of(fields.back(), "an object's x"), size, size});
  }
  return boxes;
}

/// Returns the name of a picture without the "#0" of Flickr8k's lists, which counts its captions.
std::string without_number(const std::string& image) {
  const std::size_t mark = image.rfind('#');
  if (mark == image.npos || mark + 1 == image.size()) return image;
  const bool digits = image.find_first_not_of("0123456789", mark + 1) == image.npos;
  const std::string name = image.substr(0, mark);
  const bool picture = name.ends_with(".jpg") || name.ends_with(".jpeg") || name.ends_with(".png");
  return digits && picture ? name : image;
}

struct Row {
  std::string image;
  ListedCaption caption;
};

Row row_of(const Line& line, std::size_t columns, const ListOptions& options) {
  const std::vector<std::string_view> parts = parts_of(line.text, '\t');
  if (parts.size() != columns) {
    throw Fault(fmt::format("{} columns, where the list has {}", parts.size(), columns));
  }
  Row row{std::string(parts[0]), {.text = {}, .line = line.number}};
  if (columns == 2) row.image = without_number(row.image);
  if (row.image.empty()) throw Fault("no image");
  if (columns == 1) return row;
  if (columns == 3) number_of(parts[1], "the number of the caption");
  row.caption.text = parts[columns == 3 ? 2 : 1];
  const std::size_t words = split_white_space(row.caption.text).size();
  if (words == 0 && options.captions) throw Fault("a caption without words");
  if (columns < 4) return row;
  row.caption.objects = boxes_of(parts[2], options.box_size);
  for (const std::string& index : split_white_space(parts[3])) {
    const std::int64_t object = number_of(index, "a word's object");
    if (object < -1 || object >= std::ssize(row.caption.objects)) {
      throw Fault(fmt::format("a word's object is {}, there are {} objects", object,
                              row.caption.objects.size()));
    }
    row.caption.object_of_word.push_back(object);
  }
  if (row.caption.object_of_word.size() != words) {
    throw Fault(
        fmt::format("{} words, but objects for {}", words, row.caption.object_of_word.size()));
  }
  return row;
}

/// Returns the number of columns of the first line, or with `of_most` of most lines.
std::size_t columns_of(const std::vector<Line>& lines, bool of_most) {
  if (lines.empty()) return 0;
  if (!of_most) return parts_of(lines.front().text, '\t').size();
  std::map<std::size_t, std::size_t> counts;
  for (const Line& line : lines) ++counts[parts_of(line.text, '\t').size()];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

std::vector<ListedImage> from_coco(std::vector<CocoImage> images) {
  std::vector<ListedImage> list;
  for (CocoImage& image : images) {
    ListedImage& to = list.emplace_back();
    to.name = std::move(image.name);
    if (!image.captions.empty()) to.line = image.captions.front().number;
    for (CocoCaption& caption : image.captions) {
      to.captions.push_back({.text = std::move(caption.text), .line = caption.number});
    }
  }
  return list;
}

std::vector<ListedImage> read_list(const std::string& path, const ListOptions& options,
                                   SkipReport& skipped) {
  const std::vector<Line> lines = options.skip_bad ? read_lines(path, skipped) : read_lines(path);
  if (!lines.empty() && lines.front().text.starts_with('{')) {
    std::string json;
    for (const Line& line : lines) json += line.text + '\n';
    return from_coco(read_coco(path, json, options.captions, options.skip_bad, skipped));
  }
  std::vector<ListedImage> list;
  std::map<std::string, std::size_t> places;
  const std::size_t columns = columns_of(lines, options.skip_bad),
                    fewest = options.captions ? 2 : 1;
  if (!lines.empty() && (columns < fewest || columns > 4)) {
    throw TextError(path, lines.front().number,
                    fmt::format("{} columns, expected {} to 4 with tabs between them: image,"
                                " caption; image, number, caption; or image, caption, objects,"
                                " objects of the words",
                                columns, fewest));
  }
  for (const Line& line : lines) {
    try {
      Row row = row_of(line, columns, options);
      const auto [place, fresh] = places.try_emplace(row.image, list.size());
      if (fresh) list.push_back({row.image, line.number, {}});
      if (columns > 1) list[place->second].captions.push_back(std::move(row.caption));
    } catch (const Fault& fault) {
      if (!options.skip_bad) throw TextError(path, line.number, fault.what());
      skipped.add("a fault of the list", path, line.number, fault.what());
    }
  }
  return list;
}

}  // namespace

std::vector<ListedImage> read_caption_list(const std::string& path, const ListOptions& options,
                                           SkipReport& skipped) {
  std::vector<ListedImage> list = read_list(path, options, skipped);
  if (list.empty()) {
    throw TextError(path, 0, fmt::format("holds no captions ({})", skipped.message()));
  }
  return list;
}

Pictures::Pictures(const std::string& path, std::int64_t raw_height, std::int64_t raw_width)
    : path_(path), folder_(std::filesystem::is_directory(path)) {
  if (!folder_) tensor_ = read_image_tensor(path, raw_height, raw_width);
}

Image Pictures::get(const std::string& name) const {
  if (folder_) return read_image((std::filesystem::path(path_) / name).string());
  std::int64_t row = -1;
  try {
    row = number_of(name, "a row");
  } catch (const Fault& fault) {
    throw TextError(path_, 0, fault.what());
  }
  if (row < 0 || row >= tensor_.count) {
    throw TextError(
        path_, 0, fmt::format("picture {} is not there: it holds 0 .. {}", row, tensor_.count - 1));
  }
  return tensor_.image(row);
}

LoadedPictures load_pictures(const Pictures& from, std::vector<ListedImage>& list,
                             const std::string& list_path, PictureSize size, bool skip_bad,
                             SkipReport& skipped) {
  LoadedPictures loaded;
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < list.size(); ++i) {
    try {
      const Image image = from.get(list[i].name);
      loaded.images.push_back(resized(image, size.height, size.width));
      loaded.sizes.push_back({image.height, image.width});
      kept.push_back(i);
    } catch (const TextError& error) {
      if (!skip_bad) throw TextError(list_path, list[i].line, error.what());
      skipped.add("a picture that cannot be read", list_path, list[i].line, error.what());
    }
  }
  for (std::size_t k = 0; k < kept.size(); ++k) {
    if (k < kept[k]) list[k] = std::move(list[kept[k]]);
  }
  list.erase(list.begin() + std::ssize(kept), list.end());
  if (list.empty()) {
    throw TextError(list_path, 0,
                    fmt::format("none of its pictures can be read ({})", skipped.message()));
  }
  return loaded;
}

}  // namespace rapt::tasks
