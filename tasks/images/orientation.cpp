#include "tasks/images/orientation.hpp"

#include <algorithm>
#include <cstdint>

namespace rapt::tasks {

int exif_orientation(std::string_view tiff) {
  const bool little = tiff.starts_with("II");
  if (!little && !tiff.starts_with("MM")) return 1;
  /// Returns a number of `count` bytes; beyond the end it is 0.
  const auto number = [&](std::size_t at, std::size_t count) {
    std::uint64_t value = 0;
    if (at > tiff.size() || tiff.size() - at < count) return value;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t k = little ? count - 1 - i : i;
      value = value << 8 | static_cast<unsigned char>(tiff[at + k]);
    }
    return value;
  };
  constexpr std::uint64_t orientation = 0x0112, of_two_bytes = 3;
  if (number(2, 2) != 42) return 1;
  const std::size_t directory = number(4, 4);
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + 12 * i;
    if (at > tiff.size()) return 1;
    if (number(at, 2) != orientation || number(at + 2, 2) != of_two_bytes) continue;
    const auto value = static_cast<int>(number(at + 8, 2));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

Image upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool turned = orientation >= 5;
  Image out{turned ? image.width : image.height, turned ? image.height : image.width, {}};
  out.pixels.resize(image.pixels.size());
  const std::int64_t bottom = image.height - 1, right = image.width - 1;
  for (std::int64_t y = 0; y < out.height; ++y) {
    for (std::int64_t x = 0; x < out.width; ++x) {
      const std::uint8_t* from = nullptr;
      switch (orientation) {
        case 2:
          from = image.at(y, right - x);
          break;
        case 3:
          from = image.at(bottom - y, right - x);
          break;
        case 4:
          from = image.at(bottom - y, x);
          break;
        case 5:
          from = image.at(x, y);
          break;
        case 6:
          from = image.at(bottom - x, y);
          break;
        case 7:
          from = image.at(bottom - x, right - y);
          break;
        default:
          from = image.at(x, right - y);
          break;
      }
      std::copy(from, from + 3, out.pixels.data() + 3 * (y * out.width + x));
    }
  }
  return out;
}

}  // namespace rapt::tasks
