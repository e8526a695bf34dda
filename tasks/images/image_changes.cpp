#include "tasks/images/image_changes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "tasks/data/hash.hpp"

namespace rapt::tasks {
namespace {

std::uint8_t byte_of(double value) {
  return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
}

/// Weights of the old positions first .. first + weights.size() - 1 for one new position.
struct Share {
  std::int64_t first;
  std::vector<double> weights;
};

std::vector<Share> shares(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(scale, 1.0);
  std::vector<Share> all;
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(std::llround(centre - reach), 0);
    const auto last = std::min<std::int64_t>(std::llround(centre + reach), from);
    Share share{first, {}};
    double sum = 0;
    for (std::int64_t j = first; j < last; ++j) {
      const double distance = std::abs(static_cast<double>(j) + 0.5 - centre) / reach;
      share.weights.push_back(std::max(0.0, 1 - distance));
      sum += share.weights.back();
    }
    for (double& weight : share.weights) weight /= sum;
    all.push_back(std::move(share));
  }
  return all;
}

/// Returns the n-th number of `random`, in [-1, 1).
double draw(std::uint64_t random, std::uint64_t n) {
  return static_cast<double>(hash(random, n) >> 11) * 0x1p-52 - 1;
}

/// Takes each pixel from the old position source(y, x), in pixels, by bilinear interpolation.
template <class Source>
Image warped(const Image& image, const Source& source) {
  Image out{image.height, image.width, std::vector<std::uint8_t>(image.pixels.size())};
  const auto inside = [](double v, std::int64_t size) {
    return std::clamp(v, 0.0, static_cast<double>(size - 1));
  };
  std::uint8_t* to = out.pixels.data();
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      const auto [v, u] = source(static_cast<double>(y), static_cast<double>(x));
      const double sy = inside(v, image.height), sx = inside(u, image.width);
      const auto y0 = static_cast<std::int64_t>(sy), x0 = static_cast<std::int64_t>(sx);
      const std::int64_t y1 = std::min(y0 + 1, image.height - 1),
                         x1 = std::min(x0 + 1, image.width - 1);
      const double fy = sy - static_cast<double>(y0), fx = sx - static_cast<double>(x0);
      for (int c = 0; c < 3; ++c) {
        const double top = image.at(y0, x0)[c] * (1 - fx) + image.at(y0, x1)[c] * fx;
        const double bottom = image.at(y1, x0)[c] * (1 - fx) + image.at(y1, x1)[c] * fx;
        *to++ = byte_of(top * (1 - fy) + bottom * fy);
      }
    }
  }
  return out;
}

}  // namespace

Image resized(const Image& image, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || image.height < 1 || image.width < 1) {
    throw std::invalid_argument(fmt::format("cannot resize {} x {} pixels to {} x {}", image.width,
                                            image.height, width, height));
  }
  if (height == image.height && width == image.width) return image;
  // Rows first. Intermediate values are not rounded.
  std::vector<double> wide(static_cast<std::size_t>(3 * image.height * width));
  const std::vector<Share> columns = shares(image.width, width);
  double* cell = wide.data();
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (const Share& share : columns) {
      const std::uint8_t* from = image.at(y, share.first);
      for (const double weight : share.weights) {
        for (int c = 0; c < 3; ++c) cell[c] += weight * *from++;
      }
      cell += 3;
    }
  }
  Image out{height, width, {}};
  out.pixels.reserve(static_cast<std::size_t>(3 * height * width));
  std::vector<double> row(static_cast<std::size_t>(3 * width));
  for (const Share& share : shares(image.height, height)) {
    std::fill(row.begin(), row.end(), 0);
    const double* from = wide.data() + 3 * width * share.first;
    for (const double weight : share.weights) {
      for (double& value : row) value += weight * *from++;
    }
    for (const double value : row) out.pixels.push_back(byte_of(value));
  }
  return out;
}

namespace {

/// A random displacement field, as shares of the sides.
class Bend {
 public:
  Bend(double most, std::uint64_t random) {
    for (std::size_t i = 0; i < moves_.size(); ++i) moves_[i] = most * draw(random, i);
  }

  /// Returns the displacement at (y, x), both in [0, 1].
  std::array<double, 2> operator()(double y, double x) const {
    const auto row = std::min(static_cast<std::size_t>(y * cells), cells - 1),
               column = std::min(static_cast<std::size_t>(x * cells), cells - 1);
    const double fy = y * cells - static_cast<double>(row),
                 fx = x * cells - static_cast<double>(column);
    std::array<double, 2> move{};
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const auto at = [&](std::size_t r, std::size_t c) {
        return moves_[((row + r) * (cells + 1) + column + c) * 2 + axis];
      };
      move[axis] = (at(0, 0) * (1 - fx) + at(0, 1) * fx) * (1 - fy) +
                   (at(1, 0) * (1 - fx) + at(1, 1) * fx) * fy;
    }
    return move;
  }

 private:
  static constexpr std::size_t cells = 4;
  std::array<double, (cells + 1) * (cells + 1) * 2> moves_{};
};

Origin origin_of(const Image& image, const Augmentation& how, bool flipped, std::uint64_t random) {
  const double angle = draw(random, 1) * how.rotate * std::numbers::pi / 180;
  const double zoom = 1 + draw(random, 13) * how.zoom;
  const double sy = zoom * (1 + draw(random, 2) * how.scale),
               sx = zoom * (1 + draw(random, 3) * how.scale);
  const double cy = static_cast<double>(image.height - 1) / 2,
               cx = static_cast<double>(image.width - 1) / 2;
  const double dy = draw(random, 4) * how.shift * static_cast<double>(image.height),
               dx = draw(random, 5) * how.shift * static_cast<double>(image.width);
  const double ky = draw(random, 11) * how.shear, kx = draw(random, 12) * how.shear;
  const double sine = std::sin(angle), cosine = std::cos(angle), mirror = flipped ? -1 : 1;
  // (v, u) = ((y - cy) / sy + ky (x - cx), mirror (x - cx) / sx + kx (y - cy)), then rotated.
  const double vy = 1 / sy, vx = ky, uy = kx, ux = mirror / sx;
  Origin o{.yy = vy * cosine - uy * sine,
           .yx = vx * cosine - ux * sine,
           .xy = vy * sine + uy * cosine,
           .xx = vx * sine + ux * cosine};
  o.y0 = cy + dy - o.yy * cy - o.yx * cx;
  o.x0 = cx + dx - o.xy * cy - o.xx * cx;
  return o;
}

void erase(Image& image, const Augmentation& how, std::uint64_t random) {
  std::array<double, 3> mean{};
  for (std::size_t i = 0; i < image.pixels.size(); ++i) mean[i % 3] += image.pixels[i];
  for (double& value : mean) value /= static_cast<double>(image.pixels.size()) / 3;
  const auto length = [&](std::uint64_t n, std::int64_t side) {
    return std::llround((draw(random, n) + 1) / 2 * how.erase * static_cast<double>(side));
  };
  const auto first = [&](std::uint64_t n, std::int64_t side, std::int64_t part) {
    return std::llround((draw(random, n) + 1) / 2 * static_cast<double>(side - part));
  };
  for (std::int64_t i = 0; i < how.erase_count; ++i) {
    const std::uint64_t n = 4 * static_cast<std::uint64_t>(i);
    const std::int64_t height = length(n, image.height), width = length(n + 1, image.width),
                       y0 = first(n + 2, image.height, height),
                       x0 = first(n + 3, image.width, width);
    for (std::int64_t y = y0; y < y0 + height; ++y) {
      std::uint8_t* to = image.pixels.data() + 3 * (y * image.width + x0);
      for (std::int64_t x = 0; x < 3 * width; ++x)
        *to++ = byte_of(mean[static_cast<std::size_t>(x % 3)]);
    }
  }
}

/// Replaces each pixel by its largest value times the tint, whose largest value is 1.
void tint(Image& image, std::uint64_t random) {
  std::array<double, 3> colour{};
  for (std::uint64_t c = 0; c < 3; ++c) colour[c] = 0.6 + 0.4 * draw(random, c);
  const double most = std::max({colour[0], colour[1], colour[2]});
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    std::uint8_t* pixel = image.pixels.data() + i;
    const double value = std::max({pixel[0], pixel[1], pixel[2]});
    for (std::size_t c = 0; c < 3; ++c) pixel[c] = byte_of(value * colour[c] / most);
  }
}

void recolour(Image& image, const Augmentation& how, std::uint64_t random) {
  if (how.gamma != 0) {
    const double power = std::exp(draw(random, 16) * how.gamma);
    std::array<std::uint8_t, 256> curve{};
    for (std::size_t v = 0; v < 256; ++v) {
      curve[v] = byte_of(255 * std::pow(static_cast<double>(v) / 255, power));
    }
    for (std::uint8_t& value : image.pixels) value = curve[value];
  }
  std::array<double, 3> factor{};
  for (std::uint64_t c = 0; c < 3; ++c) {
    factor[c] = (1 + draw(random, 6) * how.brightness) * (1 + draw(random, 8 + c) * how.colour);
  }
  double mean = 0;
  for (const std::uint8_t value : image.pixels) mean += value;
  mean /= static_cast<double>(image.pixels.size());
  const double contrast = 1 + draw(random, 7) * how.contrast;
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    std::uint8_t& value = image.pixels[i];
    value = byte_of((mean + (value - mean) * contrast) * factor[i % 3]);
  }
}

}  // namespace

Augmented augmented(const Image& image, const Augmentation& how, std::uint64_t random) {
  Augmented out{image, how.flip && draw(random, 0) < 0, (draw(random, 17) + 1) / 2 < how.tint, {}};
  const bool moved =
      how.rotate != 0 || how.zoom != 0 || how.scale != 0 || how.shift != 0 || how.shear != 0;
  if (moved || out.flipped) out.origin = origin_of(image, how, out.flipped, random);
  if (how.bend != 0) {
    const Bend bend(how.bend, hash(random, 14));
    const auto H = static_cast<double>(image.height), W = static_cast<double>(image.width);
    out.image = warped(image, [&](double y, double x) {
      const auto [dy, dx] = bend(y / H, x / W);
      return out.origin(y + dy * H, x + dx * W);
    });
  } else if (moved || out.flipped) {
    out.image = warped(image, out.origin);
  }
  if (out.tinted) tint(out.image, hash(random, 18));
  if (how.brightness != 0 || how.contrast != 0 || how.colour != 0 || how.gamma != 0) {
    recolour(out.image, how, random);
  }
  if (how.erase != 0) erase(out.image, how, hash(random, 15));
  return out;
}

void normalise(const Image& image, std::span<float> to) {
  const std::size_t plane = image.pixels.size() / 3;
  if (to.size() != 3 * plane) {
    throw std::invalid_argument(
        fmt::format("normalise: {} numbers for {} colours", to.size(), 3 * plane));
  }
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      to[c * plane + i] = static_cast<float>(image.pixels[3 * i + c]) / 127.5f - 1;
    }
  }
}

}  // namespace rapt::tasks
