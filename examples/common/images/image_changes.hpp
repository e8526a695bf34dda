// Pictures made ready for a model: resized, varied, and turned into numbers.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "examples/common/images/images.hpp"

namespace rapt::examples {

/// The picture in another size, its proportions not kept. A pixel is the mean of the old ones
/// around its place, weighted by a triangle two pixels wide (bilinear interpolation), or wider by
/// the scale where the picture shrinks, so that nothing is passed over: Pillow's resize with
/// BILINEAR. Throws std::invalid_argument where a size is not positive.
Image resized(const Image& image, std::int64_t height, std::int64_t width);

/// How much a picture is varied in training; each picture draws its own amounts, evenly.
struct Augmentation {
  bool flip = false;  // left becomes right, for one picture in two
  double rotate = 0;  // by up to so many degrees either way
  double zoom = 0;    // height and width together, by a factor within 1 +- this
  double scale = 0;   // the same, each by a factor of its own
  double shift = 0;   // both ways, by up to this share of a side
  double shear = 0;   // both ways, by up to this share of the distance from the middle
  /// Bends it: 5 x 5 places, spread evenly, each move by up to this share of the sides, and what
  /// lies between them in proportion (after Simard et al. 2003).
  double bend = 0;
  double contrast = 0;    // around the picture's mean, by a factor within 1 +- this
  double brightness = 0;  // by a factor within 1 +- this
  double colour = 0;      // red, green and blue, each by a factor of its own within 1 +- this
  /// The share of pictures that are shown in the shades of one colour, any one: what words say of
  /// colours is no longer there to be seen.
  double tint = 0;
  /// Values v of [0, 1] become v ^ g, log(g) within +- this: what is dark comes out or goes under.
  double gamma = 0;
  /// Random erasing (Zhong et al. 2020): so many rectangles, their sides up to this share of the
  /// picture's, take its mean colour.
  std::int64_t erase_count = 1;
  double erase = 0;
};

/// Where the places of a new picture, in pixels, come from in the old one.
struct Origin {
  double y0 = 0, yy = 1, yx = 0, x0 = 0, xy = 0, xx = 1;

  std::array<double, 2> operator()(double y, double x) const {
    return {y0 + yy * y + yx * x, x0 + xy * y + xx * x};
  }
};

/// A picture made different, with what was done.
struct Augmented {
  Image image;
  bool flipped = false, tinted = false;
  Origin origin = {};  // without what Augmentation::bend did
};

/// Draws a variant: turned and moved at once, between the old pixels (bilinear), with the edge
/// repeated where the picture ends. `random` is any number: the same one draws the same.
Augmented augmented(const Image& image, const Augmentation& how, std::uint64_t random);

/// Writes a picture's colours as numbers for a model, [3, height, width]: value / 127.5 - 1, so
/// within [-1, 1].
void normalise(const Image& image, std::span<float> to);

}  // namespace rapt::examples
