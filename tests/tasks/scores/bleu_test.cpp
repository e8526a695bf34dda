#include "tasks/scores/bleu.hpp"

#include <cmath>
#include <sstream>

#include "tests/support/catch.hpp"

using namespace rapt::tasks;

namespace {

using Corpus = std::vector<std::vector<std::string>>;

Corpus words(const std::vector<std::string>& lines) {
  Corpus out;
  for (const std::string& line : lines) {
    std::istringstream in(line);
    out.emplace_back();
    for (std::string word; in >> word;) out.back().push_back(word);
  }
  return out;
}

Bleu bleu(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references) {
  return corpus_bleu(words(hypotheses), words(references));
}

}  // namespace

TEST_CASE("The same text scores 100") {
  const Bleu b = bleu({"the cat sat on the mat"}, {"the cat sat on the mat"});
  CHECK(b.score == Approx(100));
  CHECK(b.brevity_penalty == 1);
  CHECK(b.ratio() == 1);
  CHECK(b.line() ==
        "BLEU = 100.00 (100.0/100.0/100.0/100.0, BP = 1.000, ratio = 1.000, hypothesis 6, "
        "reference 6)");
}

TEST_CASE("A short hypothesis, worked by hand") {
  // 1-grams 4/5, 2-grams 3/4, 3-grams 2/3, 4-grams 1/2: product 1/5. BP = exp(1 - 6/5).
  const Bleu b = bleu({"a b c d e"}, {"a b c d f g"});
  CHECK(b.precisions[0] == Approx(80));
  CHECK(b.precisions[1] == Approx(75));
  CHECK(b.precisions[2] == Approx(200.0 / 3));
  CHECK(b.precisions[3] == Approx(50));
  CHECK(b.brevity_penalty == Approx(std::exp(-0.2)));
  CHECK(b.score == Approx(100 * std::exp(-0.2) * std::pow(0.2, 0.25)));
  CHECK(b.line() ==
        "BLEU = 54.75 (80.0/75.0/66.7/50.0, BP = 0.819, ratio = 0.833, hypothesis 5, reference 6)");
}

TEST_CASE("Counts are summed over the corpus, not scores") {
  // With the sentence above: 1-grams 5/7, 2-grams 3/5, 3-grams 2/3, 4-grams 1/2: product 1/7.
  // The second sentence alone scores 0. BP = exp(1 - 8/7).
  const Bleu b = bleu({"a b c d e", "x y"}, {"a b c d f g", "x z"});
  CHECK(b.score == Approx(100 * std::exp(-1.0 / 7) * std::pow(1.0 / 7, 0.25)));
}

TEST_CASE("A long hypothesis has no penalty, and its surplus lowers the precision") {
  // 1-grams 5/6, 2-grams 4/5, 3-grams 3/4, 4-grams 2/3: product 1/3.
  const Bleu b = bleu({"a b c d e f"}, {"a b c d e"});
  CHECK(b.brevity_penalty == 1);
  CHECK(b.score == Approx(100 * std::pow(1.0 / 3, 0.25)));
}

TEST_CASE("An n-gram counts as often as the reference has it") {
  // The example of the paper: 2 of 7, where a count without limit would give 7 of 7.
  const Bleu b = bleu({"the the the the the the the"}, {"the cat is on the mat"});
  CHECK(b.precisions[0] == Approx(200.0 / 7));
  CHECK(b.precisions[1] == 0);
  CHECK(b.score == 0);
}

TEST_CASE("N-grams are told apart by all their words") {
  // "a b" "c" and "a" "b c" must not meet; nor does an n-gram reach over the end of a sentence.
  const Bleu b = bleu({"ab c d e", "x"}, {"a bc d e", "y"});
  CHECK(b.precisions[0] == Approx(40));
  CHECK(b.precisions[1] == Approx(100.0 / 3));
  CHECK(b.precisions[2] == 0);
  const Bleu split = bleu({"a b", "c d"}, {"x b c", "c d"});
  CHECK(split.precisions[1] == Approx(50));
}

TEST_CASE("Without a 4-gram the score is 0, not undefined") {
  CHECK(bleu({"a b c"}, {"a b c"}).score == 0);
  CHECK(bleu({"a b c"}, {"a b c"}).precisions[2] == Approx(100));
  CHECK(bleu({""}, {"a b"}).score == 0);
  CHECK(bleu({""}, {"a b"}).brevity_penalty == 0);
  CHECK(bleu({"a b c d"}, {""}).score == 0);
  CHECK(bleu({"a b c d"}, {""}).ratio() == 0);
  CHECK(bleu({}, {}).score == 0);
  CHECK_THROWS_AS(bleu({"a"}, {}), std::invalid_argument);
}
