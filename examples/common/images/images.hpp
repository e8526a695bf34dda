// Pictures: reading them from files, and writing PNG.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::examples {

/// A picture in colour, [height, width, 3]: rows from the top, red, green, blue, 0 .. 255.
struct Image {
  std::int64_t height = 0, width = 0;
  std::vector<std::uint8_t> pixels;

  const std::uint8_t* at(std::int64_t y, std::int64_t x) const {
    return pixels.data() + 3 * (y * width + x);
  }
};

/// What a picture may have at most. A larger one is an error before memory is taken for it.
struct ImageLimits {
  std::int64_t pixels = std::int64_t{1} << 26;      // 64 million
  std::int64_t file_bytes = std::int64_t{1} << 28;  // 256 MiB, unpacked where it is gzip
};

/// Reads a JPEG or PNG, told apart by its first bytes. Grey becomes colour; transparent parts are
/// laid on white; 16 bits become 8; a JPEG of four inks (CMYK) is refused. A picture with any
/// damage that the decoder notices is refused as a whole. Throws TextError, which names the file:
/// missing, empty, of another kind, truncated, damaged, or over a limit.
Image read_image(const std::string& path, const ImageLimits& limits = {});
/// The same from memory; `name` is for messages.
Image decode_image(std::string_view bytes, const std::string& name, const ImageLimits& limits = {});

/// Many pictures of one size, one after the other, each as the pixels of an Image: a file without a
/// header, plain or gzip.
struct ImageTensor {
  std::int64_t count = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;

  /// Picture i, from 0. Throws std::out_of_range.
  Image image(std::int64_t i) const;
};

/// Reads such a file, of at most 4 GiB. Throws TextError: missing, empty, truncated or damaged, too
/// large, or no whole number of pictures of this size. Throws std::invalid_argument where the size
/// is not positive.
ImageTensor read_image_tensor(const std::string& path, std::int64_t height, std::int64_t width);

/// The picture as the bytes of a PNG file.
std::string png_of(const Image& image);

}  // namespace rapt::examples
