#include "tasks/scores/scores.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt::tasks;

namespace {

std::string tokens(const std::string& line, const ScoreOptions& options = {}) {
  return fmt::format("{}", fmt::join(score_tokens(line, options), " "));
}

double bleu(const Lines& hypotheses, const std::vector<Lines>& references,
            const ScoreOptions& options = {.tokens = ScoreTokens::none}) {
  return score_bleu(hypotheses, references, options).score;
}

double chrf(const Lines& hypotheses, const std::vector<Lines>& references, bool lower = false) {
  return score_chrf(hypotheses, references, lower);
}

/// Text with all that tokenizers treat in ways of their own.
const Lines odd_hypotheses = {
    "Hello, world! It's 3.14 or 1,000.5...",
    "A man (in a \"red\" coat) -- 5-year-old; x-y 7- 8 .5 5. ,a",
    "&quot;Quoted&quot; &amp;lt; &lt;b&gt; <skipped>done",
    "caf\u00E9\u00A0au lait \u2014 d\u00E9j\u00E0 vu\u3002 \u65E5\u672C\u8A9E\u3000text",
    "one two three four five",
    "",
    "A.B.C. a,b,c 1.2.3 $5 50% #tag @me a/b c\\d e_f [g] {h} ~ ^ `i`"};
const Lines odd_references = {
    "Hello world! It is 3.14, or 1,000.5.",
    "A man in a \"red\" coat - a 5-year-old; x-y, 7- 8 .5 5. , a",
    "\"Quoted\" & < <b> done.",
    "Caf\u00E9 au lait \u2013 d\u00E9j\u00E0 vu \u3002 \u65E5\u672C text",
    "one two three five six",
    "nothing",
    "A.B.C. a, b, c 1.2.3 $ 5 50 % #tag @me a/b c\\d e_f [g] {h} ~ ^ `j`"};
const Lines second_references = {"Hello, world. 3.14 or 1,000.5",
                                 "A man in a red coat, 5 years old",
                                 "Quoted: done",
                                 "coffee with milk",
                                 "two three four five",
                                 "",
                                 "A.B.C. a,b,c"};

}  // namespace

TEST_CASE("Tokens of 13a, by its rules") {
  CHECK(tokens("Hello, world!") == "Hello , world !");
  CHECK(tokens("It's 3.14 or 1,000.") == "It's 3.14 or 1,000 .");
  CHECK(tokens("5-year-old x-y") == "5 - year-old x-y");
  CHECK(tokens("(a) [b] {c} d/e f_g") == "( a ) [ b ] { c } d / e f _ g");
  CHECK(tokens("a.b .5 5.") == "a . b . 5 5 .");
  CHECK(tokens("&quot;x&quot; &amp; &lt;y&gt; <skipped>z") == "\" x \" & < y > z");
  // Two by two: the second period follows one that is used up.
  CHECK(tokens("a...") == "a . . .");
  CHECK(tokens("\u65E5\u672C\u3002") == "\u65E5\u672C\u3002");
  CHECK(tokens("a\u00A0b\u3000c") == "a b c");
  CHECK(tokens("") == "");
  CHECK(tokens("\u00C4 B,", {.lower = true}) == "\u00E4 b ,");
}

TEST_CASE("Tokens that are words or characters") {
  CHECK(tokens("a,b  c.\u00A0d", {.tokens = ScoreTokens::none}) == "a,b c. d");
  CHECK(tokens("a b\u65E5\u672C", {.tokens = ScoreTokens::characters}) == "a b \u65E5 \u672C");
  CHECK(tokens("AB", {.tokens = ScoreTokens::characters, .lower = true}) == "a b");
}

TEST_CASE("BLEU with several references, worked by hand") {
  // "a b c d": "b c" and "c d" are in the first reference, "a b" and "a b c" in the second; no
  // reference has a 4-gram of it. 1-grams 4/4, 2-grams 3/3, 3-grams 1/2 + "b c d" of the first =
  // 2/2. No 4-gram matches: smoothed to (1/2) / 1. Lengths 5 and 3 are equally near to 4: 3 is
  // taken.
  const Bleu b = score_bleu({"a b c d"}, std::vector<Lines>{{"x b c d y"}, {"a b c"}},
                            {.tokens = ScoreTokens::none});
  CHECK(b.precisions[0] == Approx(100));
  CHECK(b.precisions[1] == Approx(100));
  CHECK(b.precisions[2] == Approx(100));
  CHECK(b.precisions[3] == Approx(50));
  CHECK(b.reference_length == 3);
  CHECK(b.score == Approx(100 * std::pow(0.5, 0.25)));
  // An n-gram counts as often as the one reference that has most of it: twice, not three times.
  CHECK(score_bleu({"a a a a"}, std::vector<Lines>{{"a a x y"}, {"a z z z"}},
                   {.tokens = ScoreTokens::none})
            .precisions[0] == Approx(50));
}

TEST_CASE("Smoothing halves for each order without a match") {
  // 1-grams 3/4; 2-grams 0/3 -> (1/2)/3; 3-grams 0/2 -> (1/4)/2; 4-grams 0/1 -> (1/8)/1.
  CHECK(bleu({"a b c d"}, {{"a x c y b z"}}) ==
        Approx(100 * std::exp(1 - 6.0 / 4) * std::pow(3.0 / 4 / 6 / 8 / 8, 0.25)));
  // Without any match the score is 0, smoothing or not; and without 4-grams too.
  CHECK(bleu({"a b c d"}, {{"e f g h"}}) == 0);
  CHECK(bleu({"a b c"}, {{"a b c"}}) == 0);
  CHECK(bleu({}, {{}}) == 0);
  CHECK_THROWS_AS(bleu({"a"}, {}), std::invalid_argument);
  CHECK_THROWS_AS(bleu({"a"}, {{"a"}, {}}), std::invalid_argument);
}

TEST_CASE("Signatures are in sacrebleu's form") {
  CHECK(metric_named("bleu", {.lower = true}, 1).signature ==
        "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:rapt-1");
  CHECK(metric_named("bleu", {.tokens = ScoreTokens::characters}, 2).signature ==
        "nrefs:2|case:mixed|eff:no|tok:char|smooth:exp|version:rapt-1");
  CHECK(metric_named("chrf", {}, 1).signature ==
        "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:rapt-1");
  CHECK(metric_named("chrf++", {}, 1).signature ==
        "nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:rapt-1");
  CHECK_THROWS_AS(metric_named("meteor", {}, 1), std::invalid_argument);
}

TEST_CASE("chrF, worked by hand") {
  // "abcd" against "abce": 1-grams 3/4, 2-grams 2/3, 3-grams 1/2, 4-grams 0/1, on both sides alike;
  // orders 5 and 6 have none. F = P = R = (3/4 + 2/3 + 1/2 + 0) / 4.
  CHECK(chrf({"ab cd"}, {{"abce"}}) == Approx(100 * (3.0 / 4 + 2.0 / 3 + 1.0 / 2) / 4));
  // "ab" against "abc": only orders 1 and 2 are on both sides. P = (2/2 + 1/1) / 2 = 1,
  // R = (2/3 + 1/2) / 2 = 7/12, F = 5 P R / (4 P + R) = 35/55.
  CHECK(chrf({"ab"}, {{"abc"}}) == Approx(100 * 35.0 / 55));
  // The other way round: P = 7/12, R = 1, F = 5 * 7/12 / (28/12 + 1) = 35/40. Recall weighs more.
  CHECK(chrf({"abc"}, {{"ab"}}) == Approx(100 * 35.0 / 40));
  CHECK(chrf({"\u65E5\u672C"}, {{"\u65E5\u672C"}}) == Approx(100));
  CHECK(chrf({"AB"}, {{"ab"}}) == 0);
  CHECK(chrf({"AB"}, {{"ab"}}, true) == Approx(100));
  CHECK(chrf({"ab"}, {{"xy"}, {"ab"}}) == Approx(100));
  CHECK(chrf({""}, {{""}}) == 0);
  CHECK_THROWS_AS(chrf({"a"}, {}), std::invalid_argument);
}

TEST_CASE("The same figures as sacrebleu, where it is installed") {
  if (std::system("python3 -c 'import sacrebleu' 2>/dev/null") != 0) {
    std::cerr << "skipped: python3 has no sacrebleu\n";
    return;
  }
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, const Lines& lines) {
    return folder.write(name, fmt::format("{}\n", fmt::join(lines, "\n")));
  };
  write("hypothesis", odd_hypotheses);
  write("first", odd_references);
  write("second", second_references);
  folder.write("compare.py", R"(
import sys, sacrebleu
read = lambda name: open(sys.argv[1] + '/' + name, encoding='utf-8').read().split('\n')[:-1]
hypothesis, refs = read('hypothesis'), [read('first'), read('second')]
for n in (1, 2):
  for lower in (False, True):
    for tokens in ('none', '13a', 'intl', 'char', 'zh'):
      print(sacrebleu.corpus_bleu(hypothesis, refs[:n], tokenize=tokens, lowercase=lower).score)
    for order in (0, 2):
      print(sacrebleu.CHRF(lowercase=lower, word_order=order)
            .corpus_score(hypothesis, refs[:n]).score)
  print(sacrebleu.TER().corpus_score(hypothesis, refs[:n]).score)
)");
  const std::string command = fmt::format("python3 '{}' '{}' > '{}'", folder.file("compare.py"),
                                          folder.file("."), folder.file("figures"));
  REQUIRE(std::system(command.c_str()) == 0);
  std::istringstream figures(TemporaryFolder::read(folder.file("figures")));
  double expected = 0;
  for (const std::size_t n : {1u, 2u}) {
    std::vector<Lines> references{odd_references};
    if (n == 2) references.push_back(second_references);
    for (const bool lower : {false, true}) {
      for (const ScoreTokens kind : {ScoreTokens::none, ScoreTokens::v13a, ScoreTokens::intl,
                                     ScoreTokens::characters, ScoreTokens::zh}) {
        REQUIRE(figures >> expected);
        CHECK(bleu(odd_hypotheses, references, {.tokens = kind, .lower = lower}) ==
              Approx(expected).epsilon(1e-9));
      }
      for (const int order : {0, 2}) {
        REQUIRE(figures >> expected);
        CHECK(score_chrf(odd_hypotheses, references, lower, order) ==
              Approx(expected).epsilon(1e-9));
      }
    }
    const Metric ter = metric_named("ter", {}, n);
    REQUIRE(figures >> expected);
    CHECK(corpus_score(ter, statistics_of(ter, odd_hypotheses, references)) ==
          Approx(expected).epsilon(1e-9));
  }
}
