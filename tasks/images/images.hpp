// Reads pictures from files and writes PNG.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/images/image.hpp"

namespace rapt::tasks {

/// Limits on a picture. A larger one is an error before memory is allocated for it.
struct ImageLimits {
  std::int64_t pixels = std::int64_t{1} << 26;      // 64 million
  std::int64_t file_bytes = std::int64_t{1} << 28;  // 256 MiB, after unpacking gzip
};

/// Reads a JPEG or PNG file; the first bytes tell which. Grey becomes colour, transparent parts are
/// blended with white, and 16 bits become 8. A picture is turned upright by its Exif orientation.
/// The gamma of a PNG (gAMA) is applied, as its standard asks: values are for a screen of sRGB.
/// Pillow leaves such values as they are. A CMYK JPEG is refused, and so is any picture in which
/// the decoder finds damage. Throws TextError with the file's name if it is missing, empty, of
/// another format, truncated, damaged, or over a limit.
Image read_image(const std::string& path, const ImageLimits& limits = {});
/// Decodes a picture in memory; `name` is for messages.
Image decode_image(std::string_view bytes, const std::string& name, const ImageLimits& limits = {});

/// Many pictures of one size in a file without a header, plain or gzip. Each is stored as the
/// pixels of an Image.
struct ImageTensor {
  std::int64_t count = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;

  /// Returns picture i, from 0. Throws std::out_of_range.
  Image image(std::int64_t i) const;
};

/// Reads such a file of at most 4 GiB. Throws TextError if it is missing, empty, truncated, damaged
/// or too large, or no whole number of pictures of this size. Throws std::invalid_argument for a
/// size that is not positive.
ImageTensor read_image_tensor(const std::string& path, std::int64_t height, std::int64_t width);

/// Returns the picture as the bytes of a PNG file.
std::string png_of(const Image& image);

}  // namespace rapt::tasks
