// Error rates against alignments made by hand.
#include "tasks/scores/error_rate.hpp"

#include <cmath>

#include "tests/support/catch.hpp"

namespace rapt::tasks {
namespace {

struct Counts {
  std::int64_t substitutions, deletions, insertions, reference;
};

void check(const ErrorCounts& got, const Counts& want) {
  CHECK(got.substitutions == want.substitutions);
  CHECK(got.deletions == want.deletions);
  CHECK(got.insertions == want.insertions);
  CHECK(got.reference == want.reference);
}

}  // namespace

TEST_CASE("words that are changed, missing, and too many") {
  check(word_errors("one two three", "one two three"), {0, 0, 0, 3});
  check(word_errors("one too three", "one two three"), {1, 0, 0, 3});
  check(word_errors("one three", "one two three"), {0, 1, 0, 3});
  check(word_errors("one two two three", "one two three"), {0, 0, 1, 3});
  // the cat sat on the mat | a cat    on the mat now: one changed, one missing, one too many.
  check(word_errors("a cat on the mat now", "the cat sat on the mat"), {1, 1, 1, 6});
  check(word_errors("", "one two"), {0, 2, 0, 2});
  check(word_errors("one two", ""), {0, 0, 2, 0});
  check(word_errors("  one\ttwo ", "one two"), {0, 0, 0, 2});
  // As many errors either way: two changed, not one missing and one too many.
  check(word_errors("b c", "a b"), {2, 0, 0, 2});
  check(word_errors("b c d", "a b c"), {0, 1, 1, 3});
}

TEST_CASE("characters, of which a blank is one and an umlaut too") {
  check(character_errors("kitten", "sitting"), {2, 1, 0, 7});
  check(character_errors("ab", "a b"), {0, 1, 0, 3});
  check(character_errors("a  b", "a b"), {0, 0, 0, 3});
  check(character_errors("uber",
                         "\xC3\xBC"
                         "ber"),
        {1, 0, 0, 4});
}

TEST_CASE("rates add up over utterances, and may pass 1") {
  ErrorCounts all = word_errors("one too three", "one two three");
  all += word_errors("four", "four");
  check(all, {1, 0, 0, 4});
  CHECK(all.rate() == 0.25);
  CHECK(word_errors("a b c", "d").rate() == 3);
  CHECK(word_errors("", "").rate() == 0);
  CHECK(std::isinf(word_errors("a", "").rate()));
  CHECK(describe("WER", all, "words") ==
        "WER 25.00% (1 substitution, 0 deletions, 0 insertions, 4 words)");
}

}  // namespace rapt::tasks
