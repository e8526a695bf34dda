// Captioners as programs have them: rows for teacher forcing, what words looked at, and files.
#include "tasks/captions/caption_model.hpp"

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "models/layers/probe.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;
using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

const ImageEncoderOptions small_image{
    .height = 8, .width = 12, .stages = {{4}, {6, 1}}, .groups = 2, .memory = 10};

Vocabulary words() {
  const std::vector<Sentence> text{{"a", "dog", "cat", "runs"}};
  return Vocabulary::build(text, {});
}

CaptionModel small(bool gru) {
  const Vocabulary known = words();
  CaptionNetOptions options = GruCaptionerOptions{
      .image = small_image, .vocab = known.size(), .embed = 5, .hidden = 6, .readout = 7};
  if (!gru) {
    ImageEncoderOptions image = small_image;
    image.groups = 0;
    options = TransformerCaptionerOptions{.image = image,
                                          .decoder = {.vocab = known.size(),
                                                      .width = 8,
                                                      .heads = 2,
                                                      .layers = 2,
                                                      .feed_forward = 12,
                                                      .norm_first = true,
                                                      .tied = true,
                                                      .max_length = 20}};
  }
  return {options, {.lower = true}, known, make_caption_net(options, Key{3})};
}

std::vector<Image> pictures(std::size_t count) {
  std::vector<Image> images;
  for (std::size_t n = 0; n < count; ++n) {
    Image& image = images.emplace_back(Image{8, 12, {}});
    for (std::size_t i = 0; i < 3 * 8 * 12; ++i) {
      image.pixels.push_back(static_cast<std::uint8_t>(Key{n}.below(256, i)));
    }
  }
  return images;
}

}  // namespace

TEST_CASE("rows for teacher forcing, pictures with fewer captions filled up") {
  const std::vector<std::vector<CaptionIds>> captions{{{5, 6}, {7}}, {{4, 5, 6}}};
  const CaptionRows rows = caption_rows(captions);
  CHECK(rows.in.shape() == Shape{4, 4});
  CHECK(rows.in.to_vector<int32_t>() ==
        std::vector<int32_t>{2, 5, 6, 0, 2, 7, 0, 0, 2, 4, 5, 6, 0, 0, 0, 0});
  CHECK(rows.out.to_vector<int32_t>() ==
        std::vector<int32_t>{5, 6, 3, 0, 7, 3, 0, 0, 4, 5, 6, 3, 0, 0, 0, 0});
  CHECK(rows.tokens == 9);
}

TEST_CASE("what words looked at: one row of shares a word, the same in any batches") {
  for (const bool gru : {true, false}) {
    const CaptionModel model = small(gru);
    CaptionNet net = model.net;
    parameters_of(net);  // names the layers
    const std::vector<Image> images = pictures(3);
    const std::vector<CaptionIds> captions{{4, 5}, {}, {6, 7, 4}};
    const auto looks = looked_at(net, images, captions, 2);
    REQUIRE(looks.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      REQUIRE(looks[i].size() == captions[i].size() * 6);  // a grid of 2 x 3
      for (std::size_t word = 0; word < captions[i].size(); ++word) {
        double sum = 0;
        for (std::size_t place = 0; place < 6; ++place) sum += looks[i][6 * word + place];
        CHECK(sum == Approx(1).epsilon(1e-4));
      }
    }
    const auto alone = looked_at(net, {&images[2], 1}, {&captions[2], 1}, 1);
    for (std::size_t i = 0; i < looks[2].size(); ++i) {
      CHECK(alone[0][i] == Approx(looks[2][i]).epsilon(1e-3));
    }
    // Against the probe itself: word 1 of picture 0, in the last layer or step.
    const Tape tape;
    AttentionProbe probe;
    const Tensor in = tensor(std::vector<int32_t>{2, 4, 5}, {1, 3});
    std::visit([&](const auto& m) { m(images_tensor({images.data(), 1}), in); }, net);
    std::vector<float> expected(6);
    if (gru) {
      expected = probe.weights("attention", 1).to_vector<float>();
    } else {
      const auto w = probe.mean_weights("decoder/1/cross_attention").to_vector<float>();
      for (std::size_t i = 0; i < 6; ++i) expected[i] = w[6 + i];
    }
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(looks[0][6 + i] == Approx(expected[i]).epsilon(1e-3));
    }
  }
}

TEST_CASE("looks of several captions a picture stand one after the other") {
  for (const bool gru : {true, false}) {
    CaptionModel model = small(gru);
    parameters_of(model.net);  // so that its layers have paths
    const std::vector<Image> images = pictures(2);
    const std::vector<std::vector<CaptionIds>> captions{{{5, 6}, {7, 4}}, {{4, 5}, {6, 6}}};
    const auto looks = [&](const std::vector<std::vector<CaptionIds>>& which) {
      const Tape tape;
      const AttentionProbe probe;
      const CaptionRows rows = caption_rows(which);
      std::visit([&](const auto& m) { m(images_tensor(images), rows.in); }, model.net);
      const Tensor all = looks_of(probe).value();
      CHECK(all.shape() == Shape{2, rows.in.shape()[0] / 2 * 3, 6});
      return all.to_vector<float>();
    };
    const auto both = looks(captions), second = looks({{{7, 4}}, {{6, 6}}});
    for (std::size_t picture = 0; picture < 2; ++picture) {
      for (std::size_t i = 0; i < 18; ++i) {
        CHECK(both[picture * 36 + 18 + i] == Approx(second[picture * 18 + i]).epsilon(1e-3));
      }
    }
  }
}

TEST_CASE("captions do not depend on batches, and an ensemble of one model is that model") {
  const CaptionModel model = small(true);
  const std::vector<Image> images = pictures(5);
  const BeamOptions options{.beam = 3, .length_factor = 0, .length_extra = 6, .max_length = 6};
  const CaptionReader reader{model.net, images};
  const auto found = search_captions({reader}, 2, options);
  CHECK(found.size() == 5);
  CHECK(search_captions({reader}, 5, options) == found);
  CHECK(search_captions({reader, reader}, 5, options) == found);
}

TEST_CASE("a saved model is the same model") {
  for (const bool gru : {true, false}) {
    const TemporaryFolder work;
    CaptionModel model = small(gru);
    model.save(work.file("m"));
    const CaptionModel again = CaptionModel::load(work.file("m"));
    CHECK(again.how.lower);
    CHECK_FALSE(again.how.strip_punctuation);
    CHECK(again.encode("A Dog flies") == model.encode("a dog flies"));
    CHECK(summary_of(again) == summary_of(model));
    const Tensor images = images_tensor(pictures(2)),
                 in = tensor(std::vector<int32_t>{2, 4, 2, 5}, {2, 2});
    const auto logits = [&](const CaptionModel& m) {
      const Tape tape;
      return std::visit([&](const auto& net) { return net(images, in).value(); }, m.net)
          .template to_vector<float>();
    };
    CHECK(logits(again) == logits(model));
    // A file of words that does not belong to it, and one that is none.
    const std::vector<Sentence> other{{"x"}};
    Vocabulary::build(other, {}).save(work.file("m/words.vocab"));
    CHECK_THROWS(CaptionModel::load(work.file("m")));
    work.write("m/model.safetensors", "nothing");
    CHECK_THROWS_AS(CaptionModel::load(work.file("m")), Error);
  }
}
