// Scores of captions, worked by hand.
#include "tasks/scores/caption_scores.hpp"

#include <cmath>
#include <stdexcept>

#include "tasks/text/unicode.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::tasks;

namespace {

Sentence words(std::string_view line) { return split_white_space(line); }

std::vector<Sentence> all(std::initializer_list<const char*> lines) {
  std::vector<Sentence> out;
  for (const char* line : lines) out.push_back(words(line));
  return out;
}

}  // namespace

TEST_CASE("a caption's words") {
  CHECK(caption_words("A  Dog's ball , red-and-blue .", {}) ==
        words("A Dog's ball , red-and-blue ."));
  CHECK(caption_words("A  Dog's ball , red-and-blue .", {.lower = true}) ==
        words("a dog's ball , red-and-blue ."));
  CHECK(caption_words("A  Dog's ball , red-and-blue .", {.strip_punctuation = true}) ==
        words("A Dogs ball redandblue"));
  CHECK(caption_words("Ärger !", {.lower = true, .strip_punctuation = true}) == words("ärger"));
  CHECK(caption_words(" . ", {.strip_punctuation = true}).empty());
}

TEST_CASE("ROUGE-L, worked by hand") {
  // Lin (2004), section 3.1: S1, with S2 and S3; beta 1 there, 1.2 here: 3 of 4 words in order give
  // P = R = 3/4 = F, whatever beta is; 2 of 4 give 1/2.
  const auto s1 = all({"police killed the gunman"});
  CHECK(rouge_l(words("police kill the gunman"), s1) == Approx(0.75));
  CHECK(rouge_l(words("the gunman kill police"), s1) == Approx(0.5));
  // P = 2/2, R = 2/4: F = 2.44 * 0.5 / (0.5 + 1.44).
  CHECK(rouge_l(words("police gunman"), s1) == Approx(2.44 * 0.5 / 1.94));
  // Precision of one reference (2/3), recall of the other (1/1).
  CHECK(rouge_l(words("a b c"), all({"a b x x x x", "c"})) ==
        Approx(2.44 * (2.0 / 3) / (1 + 1.44 * 2 / 3)));
  CHECK(rouge_l(words("x"), s1) == 0);
  CHECK(rouge_l({}, s1) == 0);
}

TEST_CASE("CIDEr-D, worked by hand") {
  // Two pictures. "a" is in both: its weight is log 2 - log 2 = 0; every other n-gram weighs log 2.
  const std::vector<std::vector<Sentence>> references{all({"a b c"}), all({"a d"})};
  // The same words: cosine 1 for n = 1, 2 and 3, nothing for 4; of two words, for 1 and 2.
  const auto same = cider_d(all({"a b c", "a d"}), references);
  CHECK(same[0] == Approx(7.5));
  CHECK(same[1] == Approx(5));
  // "a b": of b, c one: 1/sqrt 2; of "a b", "b c" one: 1/sqrt 2; a word less: exp(-1/72).
  // "a d d": d is clipped from 2 to 1, norms 2 and 1: 1/2; "a d", "d d": 1/sqrt 2; no trigram
  // there.
  const auto other = cider_d(all({"a b", "a d d"}), references);
  const double shorter = std::exp(-1.0 / 72);
  CHECK(other[0] == Approx(10 * shorter * 2 / std::sqrt(2) / 4));
  CHECK(other[1] == Approx(10 * shorter * (0.5 + 1 / std::sqrt(2)) / 4));
  // The mean over references; a document is a picture, whichever of its references has the word.
  const std::vector<std::vector<Sentence>> several{all({"b", "c"}), all({"b"}), all({"d"})};
  const auto mean = cider_d(all({"b", "x", ""}), several);
  CHECK(mean[0] == Approx(10 * 0.25 / 2));
  CHECK(mean[1] == 0);
  CHECK(mean[2] == 0);
  CHECK_THROWS_AS(cider_d(all({"a"}), references), std::invalid_argument);
}

TEST_CASE("all scores of a corpus") {
  const std::vector<std::vector<Sentence>> references{
      all({"the cat sat on the mat", "a cat is on a mat"}), all({"two dogs run"})};
  const auto captions = all({"the cat is on the mat", "two dogs run"});
  const CaptionScores s = score_captions(captions, references);
  CHECK(s.captions == 2);
  CHECK(s.exact == Approx(50));
  // 1-grams 6 + 3 of 9; 2-grams: the cat, cat is, is on, on the, the mat: 5 + 2 of 7; 3-grams: cat
  // is on, on the mat (of "the cat is", "is on the" neither): 2 + 1 of 5; 4-grams 0 of 3.
  CHECK(s.bleu[0] == Approx(100));
  CHECK(s.bleu[1] == Approx(100));
  CHECK(s.bleu[2] == Approx(100 * std::cbrt(3.0 / 5)));
  CHECK(s.bleu[3] == 0);
  CHECK(s.rouge_l == Approx(50 * (5.0 / 6 + 1)));
  CHECK(s.cider_d ==
        Approx((cider_d(captions, references)[0] + cider_d(captions, references)[1]) / 2));

  CHECK_THROWS_AS(score_captions({}, {}), std::invalid_argument);
  CHECK_THROWS_AS(score_captions(captions, {references.data(), 1}), std::invalid_argument);
  const std::vector<std::vector<Sentence>> lacking{references[0], {}};
  CHECK_THROWS_AS(score_captions(captions, lacking), std::invalid_argument);
}
