// Captioner: from files and pixels to text, alone and from many threads.
#include <chrono>

#include "framework/core/error.hpp"
#include "tasks/captions/captioner.hpp"
#include "tasks/images/image_changes.hpp"
#include "tasks/model_files/model_file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/threads.hpp"
#include "tests/tasks/model_files/altered.hpp"

using namespace rapt;
using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

CaptionModel small(bool gru, std::uint64_t seed = 3) {
  const std::vector<Sentence> text{{"a", "dog", "cat", "runs"}};
  const Vocabulary words = Vocabulary::build(text, {});
  ImageEncoderOptions image{
      .height = 8, .width = 12, .stages = {{4}, {6, 1}}, .groups = 2, .memory = 10};
  CaptionNetOptions options = GruCaptionerOptions{
      .image = image, .vocab = words.size(), .embed = 5, .hidden = 6, .readout = 7};
  if (!gru) {
    image.groups = 0;
    options = TransformerCaptionerOptions{.image = image,
                                          .decoder = {.vocab = words.size(),
                                                      .width = 8,
                                                      .heads = 2,
                                                      .layers = 2,
                                                      .feed_forward = 12,
                                                      .norm_first = true,
                                                      .tied = true,
                                                      .max_length = 50}};
  }
  return {options, {.lower = true}, words, make_caption_net(options, Key{seed})};
}

std::vector<Image> pictures(std::size_t count) {
  std::vector<Image> images;
  for (std::size_t n = 0; n < count; ++n) {
    Image& image = images.emplace_back(Image{20, 30, {}});
    for (std::size_t i = 0; i < 3 * 20 * 30; ++i) {
      image.pixels.push_back(static_cast<std::uint8_t>(Key{n}.below(256, i)));
    }
  }
  return images;
}

}  // namespace

TEST_CASE("a folder captions as the model that was saved in it, from pixels and from a file") {
  for (const bool gru : {true, false}) {
    const TemporaryFolder folder;
    CaptionModel model = small(gru);
    model.save(folder.file("m"));
    const Captioner captioner(folder.file("m"));
    std::vector<Image> sized;
    for (const Image& image : pictures(5)) sized.push_back(resized(image, 8, 12));
    const auto wanted = search_captions({{model.net, sized}}, 2, caption_search(5, 1, 40));
    const auto found = captioner.caption(pictures(5), {.best = 2, .attention = true});
    REQUIRE(found.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) {
      CHECK(found[i].size() == 2);
      const Caption& caption = found[i][0];
      CHECK(caption.text == model.decode(wanted[i]));
      REQUIRE(caption.weights.size() == caption.words.size() * 6);
      double sum = 0;
      for (const float w : caption.weights) sum += w;
      CHECK(sum == Approx(static_cast<double>(caption.words.size())));
    }
    folder.write("p.png", png_of(pictures(1)[0]));
    CHECK(captioner.caption(folder.file("p.png")) == found[0][0].text);
    CHECK(captioner.caption(pictures(1)[0]) == found[0][0].text);
  }
}

TEST_CASE("eight threads share a captioner, and get what one thread gets") {
  const TemporaryFolder folder;
  small(true, 1).save(folder.file("a"));
  small(false, 2).save(folder.file("b"));
  const Captioner captioner({folder.file("a"), folder.file("b")}, 1);
  const std::vector<Image> images = pictures(6);
  const auto wanted = captioner.caption(images, {.attention = true});
  std::vector<int> equal(8);
  test::together(8, [&](int thread) {
    for (int round = 0; round < 3; ++round) {
      const auto found = captioner.caption(images, {.attention = true});
      int same = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        same += found[i][0].text == wanted[i][0].text && found[i][0].score == wanted[i][0].score &&
                found[i][0].weights == wanted[i][0].weights;
      }
      equal[static_cast<std::size_t>(thread)] += same;
    }
  });
  CHECK(equal == std::vector<int>(8, 18));
}

TEST_CASE("errors name the file, or the picture") {
  const TemporaryFolder folder;
  small(true).save(folder.file("m"));
  const Captioner captioner(folder.file("m"));
  CHECK_THROWS_WITH(captioner.caption(folder.file("no.png")), Contains("no.png"));
  CHECK_THROWS_WITH(Captioner(folder.file("none")), Contains(folder.file("none")));
  std::vector<Image> images = pictures(2);
  images[1].pixels.pop_back();
  CHECK_THROWS_WITH(captioner.caption(images), Contains("picture 2: 1799 bytes for 30 x 20"));
  images[1] = Image{};
  CHECK_THROWS_WITH(captioner.caption(images), Contains("picture 2: 0 bytes for 0 x 0"));
  CHECK_THROWS_WITH(captioner.caption(pictures(1), {.beam = 1, .best = 2}), Contains("best 2"));
}

TEST_CASE("files: format 1, another vocabulary, and metadata that ask for too much") {
  for (const bool gru : {true, false}) {
    const TemporaryFolder folder;
    small(gru).save(folder.file("m"));
    const std::string path = folder.file("m/model.safetensors");
    CHECK_THAT(caption_info(folder.file("m")), Contains("Captioner 1, format 2"));
    for (const char* name :
         {"height", "width", "channels_1", "blocks_1", "memory", "words", "embed", "hidden",
          "readout", "layers", "decoder_width", "feed_forward", "max_length"}) {
      const std::string before = ModelFile(path).text(name);
      // The width of the grid's vectors is the decoder's, if that is a Transformer.
      if (before.empty() || (!gru && std::string(name) == "memory")) continue;
      INFO(name);
      test::alter(path, {{name, "16777216"}});
      CHECK_THROWS_WITH(Captioner(folder.file("m")), Contains("its metadata ask for"));
      test::alter(path, {{name, before}});
    }
    test::alter(path, {{"format", ""}, {"words_digest", ""}});
    CHECK(Captioner(folder.file("m")).model().how.lower);
    small(gru).save(folder.file("m"));
    const std::vector<Sentence> text{{"a", "dog", "cat", "sleeps"}};
    Vocabulary::build(text, {}).save(folder.file("m/words.vocab"));
    CHECK_THROWS_WITH(Captioner(folder.file("m")), Contains("words.vocab is another file"));
  }
}

TEST_CASE("the first answer comes in under 50 milliseconds") {
  const TemporaryFolder folder;
  small(false).save(folder.file("m"));
  double best = 1e9;  // of several: other programs may be using the machine
  for (int round = 0; round < 10 && best > 50; ++round) {
    const Captioner captioner(folder.file("m"));
    const auto begin = std::chrono::steady_clock::now();
    captioner.caption(pictures(1)[0]);
    const std::chrono::duration<double, std::milli> passed =
        std::chrono::steady_clock::now() - begin;
    best = std::min(best, passed.count());
  }
  INFO("milliseconds: " << best);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
  CHECK(best < 50);
#endif
}
