// chrF++, TER, the tokens intl and zh, and resampling, against figures from other means.
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "tasks/scores/resampling.hpp"
#include "tasks/scores/score_report.hpp"
#include "tasks/scores/scores.hpp"
#include "tasks/scores/ter.hpp"
#include "tasks/text/unicode.hpp"
#include "tests/support/catch.hpp"
#include "tests/tasks/scores/score_figures.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

const Lines hypotheses(std::begin(figures::hypotheses), std::end(figures::hypotheses));
const std::vector<Lines> references{
    {std::begin(figures::references), std::end(figures::references)}};

void check(std::string_view name, const ScoreOptions& options, double corpus,
           std::span<const double> sentences) {
  INFO(name << ' ' << name_of(options.tokens));
  const Metric metric = metric_named(name, options, 1);
  const SentenceStatistics statistics = statistics_of(metric, hypotheses, references);
  CHECK(corpus_score(metric, statistics) == Approx(corpus).epsilon(1e-12));
  for (std::size_t i = 0; i < statistics.size(); ++i) {
    CHECK(metric.score(statistics[i], true) == Approx(sentences[i]).epsilon(1e-12));
  }
}

/// The score is the mean of one number per sentence.
const Metric mean_metric{.name = "mean",
                         .signature = "",
                         .higher_is_better = true,
                         .statistics =
                             [](const std::string& text, std::span<const std::string>) {
                               return std::vector<double>{std::stod(text), 1};
                             },
                         .score = [](std::span<const double> s, bool) { return s[0] / s[1]; }};

}  // namespace

TEST_CASE("Tokens of every script") {
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const auto tokens = [&](ScoreTokens kind) {
      return fmt::format("{}", fmt::join(score_tokens(hypotheses[i], {.tokens = kind}), " "));
    };
    CHECK(tokens(ScoreTokens::intl) == figures::intl_tokens[i]);
    CHECK(tokens(ScoreTokens::zh) == figures::zh_tokens[i]);
  }
  for (const char* name : {"none", "13a", "intl", "char", "zh", "ja-mecab"}) {
    CHECK(name_of(score_tokens_named(name)) == name);
  }
  CHECK_THROWS_AS(score_tokens_named("spm"), std::invalid_argument);
}

TEST_CASE("Japanese words by MeCab, or an error that names it") {
  try {
    const auto tokens = score_tokens("これは日本語です。", {.tokens = ScoreTokens::ja_mecab});
    CHECK(tokens == std::vector<std::string>{"これ", "は", "日本語", "です", "。"});
  } catch (const std::exception& error) {
    CHECK_THAT(error.what(), Contains("ja-mecab: ") && Contains("mecab"));
  }
}

TEST_CASE("BLEU, chrF and chrF++ of corpora and sentences") {
  check("bleu", {.tokens = ScoreTokens::intl}, figures::intl_bleu, figures::intl_sentences);
  check("bleu", {.tokens = ScoreTokens::zh}, figures::zh_bleu, figures::zh_sentences);
  check("chrf", {}, figures::chrf_0, figures::chrf_0_sentences);
  check("chrf++", {}, figures::chrf_2, figures::chrf_2_sentences);
}

TEST_CASE("chrF++, worked by hand") {
  // "ab c." against "ab d.": without blanks abc. and abd. have 1-grams 3/4, 2-grams 1/3, 3-grams
  // 0/2, 4-grams 0/1. The words are ab c . and ab d . : 1-grams 2/3, 2-grams 0/2. Both texts have
  // as many, so F = P = R, the mean over six orders.
  const Metric metric = metric_named("chrf++", {}, 1);
  CHECK(corpus_score(metric, statistics_of(metric, {"ab c."}, std::vector<Lines>{{"ab d."}})) ==
        Approx(100 * (3.0 / 4 + 1.0 / 3 + 2.0 / 3) / 6));
}

TEST_CASE("TER counts shifts of word sequences as one edit") {
  const auto edits = [](const std::string& a, const std::string& b) {
    return ter_edits(split_white_space(a), split_white_space(b));
  };
  CHECK(edits("a b c", "a b c") == 0);
  CHECK(edits("b c d e f a", "a b c d e f") == 1);
  CHECK(edits("d e a b c", "a b c d e") == 1);
  CHECK(edits("", "a b c") == 3);
  CHECK(edits("a b", "") == 2);
  CHECK(edits("", "") == 0);
  CHECK(edits("x y z", "a b c d") == 4);
  for (const figures::Edits& one : figures::edits) {
    INFO(one.hypothesis << " / " << one.reference);
    CHECK(edits(to_lower(one.hypothesis), to_lower(one.reference)) == one.edits);
  }
  // Long texts stay within the beam, and end.
  std::string longer, other;
  for (int i = 0; i < 400; ++i) {
    longer += fmt::format("w{} ", i % 7);
    other += fmt::format("w{} ", i % 5);
  }
  CHECK(edits(longer, other) > 100);
  CHECK(edits("w1", other) == 399);
}

TEST_CASE("TER of a corpus, with several references") {
  const Metric metric = metric_named("ter", {}, 2);
  CHECK_FALSE(metric.higher_is_better);
  // The nearest reference has 1 edit; the mean length is (3 + 5) / 2. The second line has 2 edits
  // and references of 2 and 2 words.
  const std::vector<Lines> two{{"A b x", "c d"}, {"p q r s t", "e f"}};
  const SentenceStatistics statistics = statistics_of(metric, {"a B c", "x y"}, two);
  CHECK(corpus_score(metric, statistics) == Approx(100 * 3.0 / 6));
  CHECK(metric.score(statistics[1], true) == Approx(100));
  CHECK(ter_of(ter_statistics("", Lines{""}, true)) == 0);
  CHECK(ter_of(ter_statistics("a", Lines{""}, true)) == 100);
}

TEST_CASE("Text without blanks is told from text with blanks") {
  CHECK(lacks_blanks(Lines{"これは日本語です。", "猫が好き", ""}));
  CHECK(lacks_blanks(Lines{"我爱北京 天安门我爱北京天安门我爱北京天安门"}));
  CHECK_FALSE(lacks_blanks(Lines{"ein mann", "zwei"}));
  CHECK_FALSE(lacks_blanks(Lines{"a", "b"}));  // tokens
  CHECK_FALSE(lacks_blanks(Lines{}));
}

TEST_CASE("Intervals of a mean are those of theory") {
  // 400 values 0 .. 9: the mean of a draw has the deviation sqrt(8.25 / 400), and 95 % lie within
  // 1.96 of it.
  Lines values;
  for (int i = 0; i < 400; ++i) values.push_back(std::to_string(i % 10));
  const SentenceStatistics statistics = statistics_of(mean_metric, values, {&values, 1});
  const std::vector<double> draws = bootstrap(mean_metric, statistics, 2000, 1);
  const Interval interval = interval_of(draws);
  CHECK(interval.mean == Approx(4.5).margin(0.02));
  CHECK(interval.half_width == Approx(1.96 * std::sqrt(8.25 / 400)).epsilon(0.07));
  CHECK(bootstrap(mean_metric, statistics, 2000, 1) == draws);
  CHECK(bootstrap(mean_metric, statistics, 2000, 2) != draws);
  // Equal systems are as different as chance has it; those that differ everywhere are not.
  CHECK(paired_p_value(draws, draws, 0) == 1);
  Lines better = values;
  for (std::size_t i = 0; i < better.size(); ++i) {
    better[i] = std::to_string(std::stod(values[i]) + (i % 3 == 0 ? 0.5 : 0.1));
  }
  const std::vector<double> more =
      bootstrap(mean_metric, statistics_of(mean_metric, better, {&values, 1}), 2000, 1);
  CHECK(paired_p_value(more, draws, 0.23) == Approx(1.0 / 2001));
  CHECK_THROWS_AS(bootstrap(mean_metric, {}, 10, 1), std::invalid_argument);
  CHECK_THROWS_AS(paired_p_value(draws, std::vector<double>{1}, 0), std::invalid_argument);
}

TEST_CASE("Reports of several systems") {
  const System systems[] = {{"a.out", hypotheses}, {"b.out", references[0]}};
  const std::vector<SystemScores> scores =
      score_systems(systems, references,
                    {.metrics = {"bleu", "ter"}, .tokens = {}, .bootstrap = 50, .sentences = true});
  const std::string text = to_text(scores), json = to_json(scores);
  CHECK_THAT(text, Contains("a.out\nline\tBLEU\tTER\n1\t"));
  CHECK_THAT(text, Contains("TER = 0.00; 95% within 0.00 +- 0.00; p = ") &&
                       Contains(" against a.out\nTER|nrefs:1|case:lc|tok:tercom"));
  CHECK_THAT(json, Contains("\"system\": \"b.out\"") && Contains("\"score\": 100.0") &&
                       Contains("\"p_value\": 0.0") && Contains("\"half_width\""));
  const auto plain = score_systems({systems, 1}, references, {});
  CHECK_FALSE(plain[0].scores[0].interval);
  CHECK(plain[0].scores[0].sentences.empty());
  CHECK_THAT(to_text(plain), Catch::StartsWith("BLEU = "));
}
