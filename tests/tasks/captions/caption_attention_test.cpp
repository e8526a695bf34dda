// Where words looked, on disk, and whether that was at their objects.
#include "tasks/captions/caption_attention.hpp"

#include "tasks/data/hash.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

/// Three words over a grid of 2 x 4, on a picture of 64 x 64; word i looks at place peaks[i].
CaptionLooks looks(const std::string& image, std::vector<std::string> words,
                   const std::vector<std::size_t>& peaks) {
  CaptionLooks one{image, std::move(words), 2, 4, {64, 64}, {}};
  one.weights.assign(one.words.size() * 8, 0.05f);
  for (std::size_t i = 0; i < peaks.size(); ++i) one.weights[8 * i + peaks[i]] = 0.65f;
  return one;
}

}  // namespace

TEST_CASE("looks survive a file") {
  const TemporaryFolder work;
  const CaptionLooks one = looks("a\"b", {"ein", "Hünd"}, {3, 7}), two = looks("2", {}, {});
  const std::string path = work.write("looks", looks_line(one) + "\n" + looks_line(two) + "\n");
  const auto read = read_looks(path);
  REQUIRE(read.size() == 2);
  CHECK(read[0].image == one.image);
  CHECK(read[0].words == one.words);
  CHECK(read[0].grid_height == 2);
  CHECK(read[0].grid_width == 4);
  CHECK(read[0].size.width == 64);
  REQUIRE(read[0].weights.size() == one.weights.size());
  for (std::size_t i = 0; i < one.weights.size(); ++i) {
    CHECK(read[0].weights[i] == Approx(one.weights[i]).margin(5e-5));
  }
  CHECK(read[1].words.empty());
}

TEST_CASE("a file that is no such file is an error with its line") {
  const TemporaryFolder work;
  const std::string good = looks_line(looks("1", {"a"}, {0}));
  const auto refuse = [&](const std::string& line) {
    const std::string path = work.write("bad", good + "\n" + line + "\n");
    CHECK_THROWS_WITH(read_looks(path), Contains("bad:2: "));
  };
  refuse("");
  refuse("[]");
  refuse(good.substr(0, good.size() - 3));
  std::string other = good;
  refuse(other.replace(other.find("[2,4]"), 5, "[2,5]"));
  other = good;
  refuse(other.replace(other.find("[2,4]"), 5, "[0,0]"));
  other = good;
  refuse(other.replace(other.find("[\"a\"]"), 5, "[\"a\",\"b\"]"));
  for (std::uint64_t n = 0; n < 1000; ++n) {
    std::string bytes = good;
    bytes[below(bytes.size(), hash(n))] = static_cast<char>(32 + below(95, hash(n, 1)));
    try {
      for (const CaptionLooks& one : read_looks(work.write("x", bytes))) {
        CHECK(one.weights.size() == one.words.size() * 8);
      }
    } catch (const TextError& error) {
      CHECK_THAT(error.what(), Contains("x:1: "));
    }
  }
}

TEST_CASE("peaks in the boxes of the words' objects, worked by hand") {
  // Places are 32 x 16 pixels: the middle of place (r, c) is (32 r + 15.5, 16 c + 7.5).
  const Box left{4, 1, 28, 28}, right{32, 35, 28, 28};
  const std::vector<ListedImage> list{
      {"7", 1, {{"a bag and a boot", 1, {left, right}, {0, 0, -1, 1, 1}}}}};
  // (0, 0): 15.5, 7.5 in the left box; (0, 2): 15.5, 39.5 in none; (1, 2): 47.5, 39.5 in the right.
  const Pointing found =
      pointing({looks("7", {"a", "bag", "and", "the", "boot"}, {0, 2, 7, 6, 6})}, list, "list");
  CHECK(found.words == 4);
  CHECK(found.same == 3);
  CHECK(found.inside == 2);
  CHECK(found.share() == Approx(200.0 / 3));
  CHECK(pointing({}, list, "list").share() == 0);
  const Pointing brief = pointing({looks("7", {"a"}, {0})}, list, "list");
  CHECK(brief.words == 4);
  CHECK(brief.same == 1);
  CHECK_THROWS_WITH(pointing({looks("8", {}, {})}, list, "list"),
                    Contains("list: has no picture '8'"));
  const std::vector<ListedImage> bare{{"7", 3, {{"a bag", 3}}}};
  CHECK_THROWS_WITH(pointing({}, bare, "list"), Contains("list:3"));
}
