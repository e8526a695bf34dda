// Pictures made ready for a model: sizes, variants, numbers.
#include "tasks/images/image_changes.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tests/support/catch.hpp"

using namespace rapt::tasks;

namespace {

using Bytes = std::vector<std::uint8_t>;

/// A picture in grey.
Image grey(std::int64_t height, std::int64_t width, const Bytes& values) {
  Image image{height, width, {}};
  for (const std::uint8_t value : values) image.pixels.insert(image.pixels.end(), 3, value);
  return image;
}

Bytes shades(const Image& image) {
  Bytes values;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) values.push_back(image.pixels[i]);
  return values;
}

}  // namespace

TEST_CASE("resizing: worked by hand") {
  // To twice the size: a quarter of the one neighbour, three of the other, and the ends repeated.
  CHECK(shades(resized(grey(1, 2, {0, 100}), 1, 4)) == Bytes{0, 25, 75, 100});
  CHECK(shades(resized(grey(2, 1, {0, 100}), 4, 1)) == Bytes{0, 25, 75, 100});
  // To half of it: a triangle four wide. Inside, 1 3 3 1 of 8; at an end, 3 3 1 of 7.
  CHECK(shades(resized(grey(1, 6, {7, 14, 70, 80, 0, 0}), 1, 3)) == Bytes{19, 58, 11});
  // A fine pattern becomes its mean instead of one of its colours.
  Bytes stripes;
  for (int i = 0; i < 64; ++i) stripes.push_back(i % 2 == 0 ? 0 : 200);
  for (const std::uint8_t value : shades(resized(grey(1, 64, stripes), 1, 8))) {
    CHECK(std::abs(value - 100) < 6);
  }
  // Colours keep apart.
  CHECK(resized({1, 1, {1, 2, 3}}, 2, 2).pixels == Bytes{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3});
  CHECK_THROWS_AS(resized(grey(1, 1, {0}), 0, 1), std::invalid_argument);
  CHECK_THROWS_AS(resized({}, 1, 1), std::invalid_argument);
}

TEST_CASE("numbers of a picture: channel by channel, within [-1, 1]") {
  std::vector<float> to(6);
  normalise({1, 2, {0, 51, 102, 153, 204, 255}}, to);
  const float expected[] = {-1, 0.2f, -0.6f, 0.6f, -0.2f, 1};
  for (std::size_t i = 0; i < 6; ++i) CHECK(to[i] == Approx(expected[i]).margin(1e-6));
  CHECK_THROWS_AS(normalise({1, 1, {0, 0, 0}}, to), std::invalid_argument);
}

TEST_CASE("variants are drawn from their number, and are none by default") {
  const Image image = grey(2, 3, {10, 20, 30, 40, 50, 60});
  CHECK(augmented(image, {}, 5).image.pixels == image.pixels);
  const Augmentation all{.flip = true,
                         .rotate = 20,
                         .zoom = 0.1,
                         .scale = 0.2,
                         .shift = 0.2,
                         .shear = 0.1,
                         .bend = 0.1,
                         .contrast = 0.3,
                         .brightness = 0.3,
                         .colour = 0.3,
                         .erase = 0.2};
  CHECK(augmented(image, all, 5).image.pixels == augmented(image, all, 5).image.pixels);
  CHECK(augmented(image, all, 5).image.pixels != augmented(image, all, 6).image.pixels);
}

TEST_CASE("half of the pictures are flipped, and say so") {
  const Image image = grey(2, 3, {10, 20, 30, 40, 50, 60});
  int flipped = 0;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const Augmented one = augmented(image, {.flip = true}, n);
    flipped += one.flipped;
    CHECK(shades(one.image) ==
          (one.flipped ? Bytes{30, 20, 10, 60, 50, 40} : Bytes{10, 20, 30, 40, 50, 60}));
  }
  CHECK(flipped > 70);
  CHECK(flipped < 130);
}

TEST_CASE("a shift moves the whole picture, by as much as was allowed") {
  Bytes ramp;
  for (int i = 0; i < 32 * 32; ++i) ramp.push_back(static_cast<std::uint8_t>(8 * (i % 32)));
  const Image image = grey(32, 32, ramp);
  double most = 0;
  for (std::uint64_t n = 0; n < 100; ++n) {
    const Bytes moved = shades(augmented(image, {.shift = 0.25}, n).image);
    const double by = (moved[16] - ramp[16]) / 8.0;  // columns
    for (std::size_t x = 9; x < 23; ++x) CHECK(std::abs(moved[x] - ramp[x] - 8 * by) <= 1);
    most = std::max(most, std::abs(by));
  }
  CHECK(most <= 8);
  CHECK(most > 7);
}

TEST_CASE("turning and scaling keep the middle in its place") {
  Bytes dot(31 * 31, 0);
  for (int y = 13; y < 18; ++y) {
    for (int x = 13; x < 18; ++x) dot[static_cast<std::size_t>(31 * y + x)] = 255;
  }
  const Image image = grey(31, 31, dot);
  for (std::uint64_t n = 0; n < 20; ++n) {
    const Image turned = augmented(image, {.rotate = 30, .scale = 0.3}, n).image;
    CHECK(turned.at(15, 15)[0] == 255);
    double y_sum = 0, x_sum = 0, sum = 0;
    for (std::int64_t y = 0; y < 31; ++y) {
      for (std::int64_t x = 0; x < 31; ++x) {
        y_sum += static_cast<double>(y) * turned.at(y, x)[0];
        x_sum += static_cast<double>(x) * turned.at(y, x)[0];
        sum += turned.at(y, x)[0];
      }
    }
    CHECK(y_sum / sum == Approx(15).margin(0.1));
    CHECK(x_sum / sum == Approx(15).margin(0.1));
    // The area follows both factors.
    CHECK(sum / 255 > 25 * 0.7 * 0.7 - 2);
    CHECK(sum / 255 < 25 * 1.3 * 1.3 + 2);
  }
}

TEST_CASE("a tinted picture is its values in one colour") {
  const Image image{1, 3, {255, 48, 48, 10, 100, 100, 0, 0, 0}};
  int tinted = 0;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const Augmented one = augmented(image, {.tint = 0.25}, n);
    tinted += one.tinted;
    if (!one.tinted) {
      CHECK(one.image.pixels == image.pixels);
      continue;
    }
    const Bytes& p = one.image.pixels;
    CHECK(std::max({p[0], p[1], p[2]}) == 255);
    CHECK(std::min({p[0], p[1], p[2]}) >= 50);
    for (std::size_t c = 0; c < 3; ++c) {
      CHECK(p[3 + c] == Approx(p[c] * 100 / 255.).margin(1));
      CHECK(p[6 + c] == 0);
    }
  }
  CHECK(tinted > 30);
  CHECK(tinted < 70);
}

TEST_CASE("light and colour") {
  const Image image = grey(1, 2, {100, 100});
  for (std::uint64_t n = 0; n < 50; ++n) {
    const Bytes bright = augmented(image, {.brightness = 0.2}, n).image.pixels;
    CHECK(bright[0] >= 80);
    CHECK(bright[0] <= 120);
    CHECK(bright == Bytes(6, bright[0]));
    // Contrast is around the mean, which stays.
    CHECK(augmented(image, {.contrast = 0.5}, n).image.pixels == image.pixels);
    const Bytes apart = shades(augmented(grey(1, 2, {50, 150}), {.contrast = 0.5}, n).image);
    CHECK(apart[0] + apart[1] == Approx(200).margin(1));
    CHECK(apart[0] >= 25);
    CHECK(apart[0] <= 75);
  }
  // Powers keep black and white, and the order of what lies between.
  const Image steps = grey(1, 4, {0, 60, 120, 255});
  std::uint8_t darkest = 255, brightest = 0;
  for (std::uint64_t n = 0; n < 100; ++n) {
    const Bytes bent = shades(augmented(steps, {.gamma = 1}, n).image);
    CHECK(bent[0] == 0);
    CHECK(bent[3] == 255);
    CHECK(bent[2] > bent[1]);
    // One power for all: log(v / 255) in one proportion.
    CHECK(std::log(bent[2] / 255.) / std::log(bent[1] / 255.) ==
          Approx(std::log(120 / 255.) / std::log(60 / 255.)).epsilon(0.1));
    darkest = std::min(darkest, bent[1]);
    brightest = std::max(brightest, bent[1]);
  }
  CHECK(darkest >= 5);  // 255 (60 / 255) ^ e
  CHECK(darkest < 10);
  CHECK(brightest <= 150);  // 255 (60 / 255) ^ (1 / e)
  CHECK(brightest > 140);
  const Bytes tinted = augmented(image, {.colour = 0.3}, 1).image.pixels;
  CHECK((tinted[0] != tinted[1] || tinted[1] != tinted[2]));
  CHECK(tinted[0] == tinted[3]);
}

TEST_CASE("every new place is where its origin says") {
  // A picture whose shades are its coordinates.
  Bytes rows, columns;
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      rows.push_back(static_cast<std::uint8_t>(8 * y));
      columns.push_back(static_cast<std::uint8_t>(8 * x));
    }
  }
  const Augmentation how{
      .flip = true, .rotate = 25, .scale = 0.3, .shift = 0.1, .shear = 0.3, .bend = 0};
  double most_shear = 0;
  for (std::uint64_t n = 0; n < 30; ++n) {
    const Augmented by_row = augmented(grey(32, 32, rows), how, n),
                    by_column = augmented(grey(32, 32, columns), how, n);
    for (std::int64_t y = 10; y < 22; y += 3) {
      for (std::int64_t x = 10; x < 22; x += 3) {
        const auto [v, u] = by_row.origin(static_cast<double>(y), static_cast<double>(x));
        if (v < 1 || v > 30 || u < 1 || u > 30) continue;
        CHECK(by_row.image.at(y, x)[0] == Approx(8 * v).margin(0.6));
        CHECK(by_column.image.at(y, x)[0] == Approx(8 * u).margin(0.6));
      }
    }
    // A zoom alone is the same both ways.
    const Origin zoomed = augmented(grey(32, 32, rows), {.zoom = 0.3}, n).origin;
    CHECK(zoomed.yy == zoomed.xx);
    CHECK(std::abs(1 / zoomed.yy - 1) <= 0.3);
    CHECK(zoomed.yy != 1);
    // A shear alone moves rows against each other.
    const Origin sheared = augmented(grey(32, 32, rows), {.shear = 0.3}, n).origin;
    CHECK(sheared.yy == 1);
    CHECK(sheared.xx == 1);
    most_shear = std::max(most_shear, std::abs(sheared.xy));
  }
  CHECK(most_shear <= 0.3);
  CHECK(most_shear > 0.25);
}

TEST_CASE("bending moves places by so much at most, neighbours together") {
  Bytes ramp;
  for (int i = 0; i < 64 * 64; ++i) ramp.push_back(static_cast<std::uint8_t>(2 * (i % 64)));
  double most = 0;
  bool differs = false;
  for (std::uint64_t n = 0; n < 20; ++n) {
    const Bytes bent = shades(augmented(grey(64, 64, ramp), {.bend = 0.05}, n).image);
    for (std::size_t y = 5; y < 59; ++y) {
      for (std::size_t x = 5; x < 58; ++x) {
        const double by = (bent[64 * y + x] - ramp[x]) / 2.0;
        most = std::max(most, std::abs(by));
        // Steps between neighbours: one, and the bend's slope, 2 x 3.2 pixels in 16 at most.
        CHECK(std::abs(bent[64 * y + x + 1] - bent[64 * y + x] - 2) <= 2 * 0.4 + 1);
        differs = differs || std::abs(bent[64 * y + x] - bent[64 * 30 + x]) > 2;
      }
    }
  }
  CHECK(most < 0.05 * 64 + 0.5);
  CHECK(most > 2);
  CHECK(differs);
}

TEST_CASE("rectangles are painted over in the mean colour") {
  Bytes checks;
  for (int i = 0; i < 40 * 20; ++i) checks.push_back(i % 2 == 0 ? 0 : 200);
  const Image image = grey(40, 20, checks);
  std::int64_t widest = 0, tallest = 0;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const Image erased = augmented(image, {.erase_count = 1, .erase = 0.5}, n).image;
    std::int64_t top = 40, bottom = -1, left = 20, right = -1, painted = 0;
    for (std::int64_t y = 0; y < 40; ++y) {
      for (std::int64_t x = 0; x < 20; ++x) {
        if (erased.at(y, x)[0] == image.at(y, x)[0]) continue;
        REQUIRE(erased.at(y, x)[0] == 100);
        ++painted;
        top = std::min(top, y), bottom = std::max(bottom, y);
        left = std::min(left, x), right = std::max(right, x);
      }
    }
    if (painted == 0) continue;
    CHECK(painted == (bottom - top + 1) * (right - left + 1));
    tallest = std::max(tallest, bottom - top + 1);
    widest = std::max(widest, right - left + 1);
  }
  CHECK(tallest <= 20);
  CHECK(tallest > 17);
  CHECK(widest <= 10);
  CHECK(widest > 8);
  CHECK(augmented(image, {.erase_count = 0, .erase = 0.5}, 1).image.pixels == image.pixels);
}
