// Features against figures that numpy has worked out, and against what tones have to give.
#include "tasks/audio/features.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "tests/support/catch.hpp"
#include "tests/tasks/audio/features_figures.hpp"

namespace rapt::tasks {
namespace {

std::vector<float> signal(int n) {
  std::vector<float> x;
  for (int i = 0; i < n; ++i) {
    const double noise = i * 7919 % 1013 / 1013.0 - 0.5;
    x.push_back(
        static_cast<float>(0.5 * std::sin(0.0025 * i * i) + 0.2 * std::sin(0.9 * i) + 0.1 * noise));
  }
  return x;
}

std::vector<float> tone(double hz, int rate, double seconds, double height = 0.5) {
  std::vector<float> x;
  for (int i = 0; i < seconds * rate; ++i) {
    x.push_back(static_cast<float>(height * std::sin(2 * std::numbers::pi * hz * i / rate)));
  }
  return x;
}

void compare(const Features& got, const std::vector<double>& want, std::int64_t width) {
  REQUIRE(got.width == width);
  REQUIRE(got.frames * got.width == static_cast<std::int64_t>(got.values.size()));
  REQUIRE(got.values.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    INFO("element " << i);
    // float sums of some hundred squares
    REQUIRE(got.values[i] == Approx(want[i]).margin(2e-3));
  }
}

std::int64_t largest(const Features& features, std::int64_t frame) {
  const auto row = features.values.begin() + frame * features.width;
  return std::max_element(row, row + features.width) - row;
}

}  // namespace

TEST_CASE("features are those of numpy") {
  const Filterbank htk({.mels = 10});
  compare(htk(signal(600)), figures::htk, 10);
  compare(htk(signal(600), 1.15), figures::warped, 10);
  compare(htk(signal(150), 0.85), figures::squeezed, 10);
  const Filterbank slaney({.rate = 16000,
                           .window = 0.032,
                           .shift = 0.016,
                           .mels = 12,
                           .low = 0,
                           .high = 7600,
                           .pre_emphasis = 0,
                           .kind = WindowKind::hamming,
                           .scale = MelScale::slaney,
                           .level = 0,
                           .floor = 1e-10});
  compare(slaney(signal(1500)), figures::slaney, 12);
}

TEST_CASE("a tone's energy lies in the triangle around it, and a warp moves it") {
  const Filterbank bank({.mels = 30});
  // The corners are 69.2 mels apart; 1000 Hz is 1000 mels: between the tops of two triangles.
  const double low = 2595 * std::log10(1 + 20.0 / 700), high = 2595 * std::log10(1 + 4000.0 / 700);
  const double apart = (high - low) / 31;
  for (const double hz : {300.0, 1000.0, 2500.0}) {
    const double place = (2595 * std::log10(1 + hz / 700) - low) / apart - 1;  // among triangles
    const Features plain = bank(tone(hz, 8000, 0.2));
    for (std::int64_t t = 0; t < plain.frames; ++t) {
      REQUIRE(std::abs(static_cast<double>(largest(plain, t)) - place) < 0.6);
    }
    // Triangles moved up by a tenth see the tone where one lower by a tenth would be.
    const double lower = (2595 * std::log10(1 + hz / 1.1 / 700) - low) / apart - 1;
    REQUIRE(std::abs(static_cast<double>(largest(bank(tone(hz, 8000, 0.2), 1.1), 3)) - lower) <
            0.6);
  }
}

TEST_CASE("the level of an utterance is no part of its features, unless it is to be") {
  const Filterbank bank({.mels = 20}), raw({.mels = 20, .level = 0, .floor = 1e-10});
  const Features loud = bank(tone(700, 8000, 0.1, 0.9)), soft = bank(tone(700, 8000, 0.1, 0.009));
  for (std::size_t i = 0; i < loud.values.size(); ++i) {
    REQUIRE(loud.values[i] == Approx(soft.values[i]).margin(1e-3));
  }
  // A hundredth of the height is a ten-thousandth of the energy.
  const auto place = static_cast<size_t>(largest(loud, 2) + 40);
  const double difference =
      raw(tone(700, 8000, 0.1, 0.9)).values[place] - raw(tone(700, 8000, 0.1, 0.009)).values[place];
  CHECK(difference == Approx(std::log(1e4)).margin(1e-3));
  // Silence is the floor.
  for (const float x : bank(std::vector<float>(800, 0.f)).values) {
    REQUIRE(x == Approx(std::log(1e-2)));
  }
}

TEST_CASE("frames lie inside the utterance") {
  const Filterbank bank({});  // 200 samples every 80
  for (const auto& [samples, frames] :
       {std::pair(1, 1), {200, 1}, {279, 1}, {280, 2}, {8000, 98}}) {
    CHECK(bank.frames(samples) == frames);
    CHECK(bank(tone(500, 8000, samples / 8000.0)).frames == frames);
  }
}

TEST_CASE("filterbanks that cannot be") {
  const auto fails = [](const FilterbankOptions& options, const char* text) {
    CHECK_THROWS_WITH(Filterbank(options), Catch::Contains(text));
  };
  fails({.window = 0}, "at least 2 and 1");
  fails({.high = 5000}, "low < high <= 4000 Hz");
  fails({.low = 300, .high = 200}, "low < high");
  fails({.mels = 200}, "holds no frequency");
  fails({.mels = 0}, "at least one mel");
}

TEST_CASE("normalised columns have mean 0 and variance 1, constant ones are 0") {
  Features f{.values = {1, 5, 2, 5, 6, 5}, .frames = 3, .width = 2};
  normalise(f);
  // mean 3, variance 14 / 3
  const double by = std::sqrt(14.0 / 3);
  CHECK(f.values[0] == Approx(-2 / by));
  CHECK(f.values[2] == Approx(-1 / by));
  CHECK(f.values[4] == Approx(3 / by));
  CHECK((f.values[1] == 0 && f.values[3] == 0 && f.values[5] == 0));
}

TEST_CASE("SpecAugment masks whole bands and stretches, within its limits, by its key") {
  const SpecAugmentOptions options{.frequency_masks = 1,
                                   .frequency_width = 5,
                                   .time_masks = 1,
                                   .time_width = 30,
                                   .time_share = 0.2};
  std::int64_t widest_band = 0, longest = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Features f{.values = std::vector<float>(50 * 12, 1.f), .frames = 50, .width = 12};
    spec_augment(f, options, Key{seed});
    Features again{.values = std::vector<float>(50 * 12, 1.f), .frames = 50, .width = 12};
    spec_augment(again, options, Key{seed});
    REQUIRE(f.values == again.values);
    std::vector<std::int64_t> by_row(50, 0), by_column(12, 0);
    std::int64_t zeros = 0;
    for (std::int64_t t = 0; t < 50; ++t) {
      for (std::int64_t c = 0; c < 12; ++c) {
        if (f.values[static_cast<std::size_t>(t * 12 + c)] != 0) continue;
        ++by_row[static_cast<std::size_t>(t)];
        ++by_column[static_cast<std::size_t>(c)];
        ++zeros;
      }
    }
    const std::int64_t rows = std::count(by_row.begin(), by_row.end(), 12);
    const std::int64_t columns = std::count(by_column.begin(), by_column.end(), 50);
    REQUIRE(zeros == rows * 12 + columns * 50 - rows * columns);
    widest_band = std::max(widest_band, columns);
    longest = std::max(longest, rows);
  }
  CHECK(widest_band == 5);
  CHECK(longest == 10);  // a fifth of 50, not 30
  // An utterance of one frame keeps it.
  Features short_one{.values = std::vector<float>(12, 1.f), .frames = 1, .width = 12};
  spec_augment(short_one, {.frequency_masks = 0}, Key{1});
  CHECK(short_one.values == std::vector<float>(12, 1.f));
}

}  // namespace rapt::tasks
