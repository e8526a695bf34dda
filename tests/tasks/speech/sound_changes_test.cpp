// What training does to utterances.
#include "tasks/speech/sound_changes.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace rapt::tasks {
namespace {

constexpr int one_length = 1000, two_length = 1600;

/// Two speakers' words "one" and "two", the second speaker twice as loud, and their utterances.
struct Material {
  TemporaryFolder folder;
  std::vector<Utterance> list;
  std::optional<Recordings> recordings;

  Material() {
    const auto write = [&](const std::string& name, int count, float height) {
      Audio audio{.samples = {}, .rate = 8000};
      for (int i = 0; i < count; ++i) {
        audio.samples.push_back(height * std::sin(0.3f * static_cast<float>(i)));
      }
      write_wav(folder.file(name), audio);
    };
    for (const std::string speaker : {"ann", "bob"}) {
      const float height = speaker == "ann" ? 0.2f : 0.4f;
      write("one_" + speaker + ".wav", one_length, height);
      write("two_" + speaker + ".wav", two_length, height);
      list.push_back({.id = speaker,
                      .speaker = speaker,
                      .words = "one two",
                      .files = {"one_" + speaker + ".wav", "two_" + speaker + ".wav"},
                      .gaps = {speaker == "ann" ? 100 : 140}});
    }
    recordings.emplace(folder.file("."));
    for (const Utterance& utterance : list) recordings->read(utterance, "list");
  }

  Augmenter augmenter(const AugmentOptions& options) const {
    return {options, list, *recordings, 10};
  }
};

/// Nothing is changed but the level, which is made the same for all.
constexpr AugmentOptions none{.mix = 0, .speed = 0, .level = 0, .vtlp = 0, .noise = 0};

double rms_of(std::span<const float> samples) {
  double sum = 0;
  for (const float x : samples) sum += static_cast<double>(x) * x;
  return std::sqrt(sum / static_cast<double>(samples.size()));
}

}  // namespace

TEST_CASE("an utterance as it is: its recordings at one level, its gaps") {
  const Material material;
  for (const Utterance& utterance : material.list) {
    const Sound sound = material.augmenter(none).sound(utterance, Key{1});
    CHECK(sound.words == "one two");
    const auto gap = static_cast<std::size_t>(utterance.gaps[0]);
    REQUIRE(sound.samples.size() == one_length + gap + two_length);
    CHECK(rms_of(std::span(sound.samples).first(one_length)) == Approx(0.1).epsilon(1e-3));
    CHECK(rms_of(std::span(sound.samples).last(two_length)) == Approx(0.1).epsilon(1e-3));
    CHECK(rms_of(std::span(sound.samples).subspan(one_length, gap)) == 0);
  }
}

TEST_CASE("utterances put together anew: all words, single ones as often as was asked") {
  const Material material;
  AugmentOptions options = none;
  options.mix = 1;
  options.mix_single = 0.25;
  const Augmenter augmenter = material.augmenter(options);
  std::map<std::string, int> count;
  std::set<std::size_t> gaps;
  for (std::uint64_t n = 0; n < 400; ++n) {
    const Sound sound = augmenter.sound(material.list[0], Key{n});
    ++count[sound.words];
    if (sound.words == "one one") gaps.insert(sound.samples.size() - 2 * one_length);
  }
  CHECK(count.size() == 6);  // two alone, four pairs
  const int single = count["one"] + count["two"];
  CHECK(single > 70);
  CHECK(single < 130);
  CHECK(*gaps.begin() >= 100);
  CHECK(*gaps.rbegin() <= 140);
  CHECK(gaps.size() > 10);
  CHECK(augmenter.sound(material.list[0], Key{7}).samples ==
        augmenter.sound(material.list[0], Key{7}).samples);
}

TEST_CASE("half of the recordings lose some of their end") {
  const Material material;
  AugmentOptions options = none;
  options.cut = 0.3;
  const Augmenter augmenter = material.augmenter(options);
  int whole = 0;
  double shortest = one_length + 100 + two_length;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const Sound sound = augmenter.sound(material.list[0], Key{n});
    CHECK(sound.words == "one two");
    whole += sound.samples.size() == one_length + 100 + two_length;
    shortest = std::min(shortest, static_cast<double>(sound.samples.size()));
  }
  CHECK(whole > 25);  // both of them whole: one in four
  CHECK(whole < 80);
  CHECK(shortest >= 100 + 0.7 * (one_length + two_length));
  CHECK(shortest < 100 + 0.8 * (one_length + two_length));
}

TEST_CASE("speed changes lengths within its bounds") {
  const Material material;
  AugmentOptions options = none;
  options.speed = 0.25;
  const Augmenter augmenter = material.augmenter(options);
  double shortest = 1 << 20, longest = 0;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const auto length =
        static_cast<double>(augmenter.sound(material.list[0], Key{n}).samples.size() - 100);
    shortest = std::min(shortest, length);
    longest = std::max(longest, length);
  }
  CHECK(shortest >= 2600 / 1.25 - 4);
  CHECK(shortest < 2600 / 1.15);
  CHECK(longest <= 2600 * 1.25 + 4);
  CHECK(longest > 2600 * 1.15);
}

TEST_CASE("words that do not correspond to recordings stay together") {
  Material material;
  material.list[0].words = "one and two";
  const std::vector<Piece> pieces = pieces_of(material.list[0]);
  REQUIRE(pieces.size() == 1);
  CHECK(pieces[0].words == "one and two");
  CHECK(pieces_of(std::span<const Utterance>(material.list)).size() == 3);
}

}  // namespace rapt::tasks
