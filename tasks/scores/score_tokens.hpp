// The tokens that scores of translations count, as sacrebleu defines them (Post 2018).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

enum class ScoreTokens {
  none,        // split at white space
  v13a,        // of mteval-v13a, the WMT evaluations' tokens; for Western languages
  intl,        // of mteval-v14: punctuation and symbols of every script are apart
  characters,  // without white space; for Chinese and Japanese
  zh,          // Chinese characters are apart, the rest is as in 13a, but with entities as they are
  ja_mecab,    // words that MeCab finds in Japanese text
};

struct ScoreOptions {
  ScoreTokens tokens = ScoreTokens::v13a;  // of BLEU; chrF and TER have tokens of their own
  bool lower = false;
};

/// Returns the kind of that name: none, 13a, intl, char, zh or ja-mecab. Throws
/// std::invalid_argument.
ScoreTokens score_tokens_named(std::string_view name);
std::string_view name_of(ScoreTokens tokens);

/// Splits a line into tokens like sacrebleu's `--tokenize`. Throws Error where this build lacks
/// what the tokens need: ICU for `intl`, MeCab and its dictionary for `ja-mecab`.
std::vector<std::string> score_tokens(std::string_view line, const ScoreOptions& options);

/// True for lines in a script without blanks, such as Chinese, Japanese or Thai: less than one
/// character of 20 is white space, and each line that has any text holds several characters.
bool lacks_blanks(std::span<const std::string> lines);

}  // namespace rapt::tasks
