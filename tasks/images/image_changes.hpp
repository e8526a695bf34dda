// Prepares pictures for a model: resizing, augmentation and normalisation.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "tasks/images/images.hpp"

namespace rapt::tasks {

/// Resizes a picture without keeping its proportions, as Pillow's resize does with BILINEAR. A new
/// pixel is the mean of the old ones around its position, weighted by a triangle two pixels wide
/// (bilinear interpolation). If the picture shrinks, the triangle is wider by the scale, so that
/// all old pixels count. Throws std::invalid_argument for a size that is not positive.
Image resized(const Image& image, std::int64_t height, std::int64_t width);

/// Ranges of the augmentation. Each picture draws its own amounts, uniformly.
struct Augmentation {
  bool flip = false;  // swaps left and right, with probability 1/2
  double rotate = 0;  // up to this many degrees in either direction
  double zoom = 0;    // height and width by one factor within 1 +- this
  double scale = 0;   // height and width each by its own factor within 1 +- this
  double shift = 0;   // in both directions, up to this share of a side
  double shear = 0;   // in both directions, up to this share of the distance from the centre
  /// Elastic distortion (after Simard et al. 2003): 5 x 5 evenly spread points each move by up to
  /// this share of the sides. Points between them are interpolated.
  double bend = 0;
  double contrast = 0;    // around the picture's mean, by a factor within 1 +- this
  double brightness = 0;  // by a factor within 1 +- this
  double colour = 0;      // red, green and blue, each by its own factor within 1 +- this
  /// Share of pictures shown in shades of one random colour. Such a picture no longer shows the
  /// colours that its captions name.
  double tint = 0;
  /// Values v in [0, 1] become v ^ g, with log(g) within +- this.
  double gamma = 0;
  /// Random erasing (Zhong et al. 2020): this many rectangles take the picture's mean colour. Their
  /// sides are up to the share `erase` of the picture's.
  std::int64_t erase_count = 1;
  double erase = 0;
};

/// Maps positions of a new picture, in pixels, to positions of the old one.
struct Origin {
  double y0 = 0, yy = 1, yx = 0, x0 = 0, xy = 0, xx = 1;

  std::array<double, 2> operator()(double y, double x) const {
    return {y0 + yy * y + yx * x, x0 + xy * y + xx * x};
  }
};

/// An augmented picture, with the changes made to it.
struct Augmented {
  Image image;
  bool flipped = false, tinted = false;
  Origin origin = {};  // without the distortion of Augmentation::bend
};

/// Returns a random variant of a picture. All movements are one bilinear resampling, which repeats
/// the edge outside the picture. The result depends only on the arguments; `random` may be any
/// number.
Augmented augmented(const Image& image, const Augmentation& how, std::uint64_t random);

/// Writes a picture's values for a model, [3, height, width]: value / 127.5 - 1, in [-1, 1].
void normalise(const Image& image, std::span<float> to);

}  // namespace rapt::tasks
