// Pictures made ready for a model: resized, varied, and turned into numbers.
#pragma once

#include <cstdint>
#include <span>

#include "images.hpp"

namespace rapt::examples {

/// The picture in another size, its proportions not kept. A pixel is the mean of the old ones
/// around its place, weighted by a triangle two pixels wide (bilinear interpolation), or wider by
/// the scale where the picture shrinks, so that nothing is passed over: Pillow's resize with
/// BILINEAR. Throws std::invalid_argument where a size is not positive.
Image resized(const Image& image, std::int64_t height, std::int64_t width);

/// How much a picture is varied in training; each picture draws its own amounts, evenly.
struct Augmentation {
  bool flip = false;      // left becomes right, for one picture in two
  double rotate = 0;      // by up to so many degrees either way
  double scale = 0;       // height and width, each by a factor of its own within 1 +- this
  double shift = 0;       // both ways, by up to this share of a side
  double contrast = 0;    // around the picture's mean, by a factor within 1 +- this
  double brightness = 0;  // by a factor within 1 +- this
  double colour = 0;      // red, green and blue, each by a factor of its own within 1 +- this
};

/// A picture made different, with what was done.
struct Augmented {
  Image image;
  bool flipped = false;
};

/// Draws a variant: turned and moved at once, between the old pixels (bilinear), with the edge
/// repeated where the picture ends. `random` is any number: the same one draws the same.
Augmented augmented(const Image& image, const Augmentation& how, std::uint64_t random);

/// Writes a picture's colours as numbers for a model, [3, height, width]: value / 127.5 - 1, so
/// within [-1, 1].
void normalise(const Image& image, std::span<float> to);

}  // namespace rapt::examples
