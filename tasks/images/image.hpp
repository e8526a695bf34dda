// A picture in memory.
#pragma once

#include <cstdint>
#include <vector>

namespace rapt::tasks {

/// A colour picture, [height, width, 3]: rows from the top, red, green, blue, 0 .. 255.
struct Image {
  std::int64_t height = 0, width = 0;
  std::vector<std::uint8_t> pixels;

  const std::uint8_t* at(std::int64_t y, std::int64_t x) const {
    return pixels.data() + 3 * (y * width + x);
  }
};

}  // namespace rapt::tasks
