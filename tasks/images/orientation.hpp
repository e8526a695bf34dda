// The orientation that a camera has stored with a picture.
#pragma once

#include <string_view>

#include "tasks/images/image.hpp"

namespace rapt::tasks {

/// Returns the orientation in Exif data, 1 .. 8, or 1 if there is none. `tiff` begins with the byte
/// order, "II" or "MM". Damaged data count as none.
int exif_orientation(std::string_view tiff);

/// Returns the picture upright. Orientations are those of Exif: 2 mirrored, 3 by 180 degrees, 4
/// mirrored top to bottom, 5 transposed, 6 to be turned clockwise, 7 transposed along the other
/// diagonal, 8 to be turned anticlockwise.
Image upright(Image image, int orientation);

}  // namespace rapt::tasks
