// Scores of translations as the program sacrebleu defines them (Post 2018), so that figures can be
// compared with those of others: on plain text, with tokens of the score's own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "examples/common/scores/bleu.hpp"

namespace rapt::examples {

enum class ScoreTokens {
  none,        // what stands between white space
  v13a,        // of mteval-v13a, the tokens of the WMT evaluations; for Western languages
  characters,  // without white space; for Chinese and Japanese
};

struct ScoreOptions {
  ScoreTokens tokens = ScoreTokens::v13a;  // of BLEU; chrF has none
  bool lower = false;
};

/// A line's tokens, as sacrebleu's `--tokenize none`, `13a` and `char` give them.
std::vector<std::string> score_tokens(std::string_view line, const ScoreOptions& options);

using Lines = std::vector<std::string>;

/// BLEU of lines of text, with sacrebleu's smoothing (exp). references[k] are all lines of the k-th
/// reference. Throws std::invalid_argument as corpus_bleu does.
Bleu score_bleu(const Lines& hypotheses, std::span<const Lines> references,
                const ScoreOptions& options);

/// Such as "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:rapt-1": what a BLEU figure is to be
/// quoted with. The last part is this implementation's own.
std::string bleu_signature(const ScoreOptions& options, std::size_t references);

/// chrF2 (Popovic 2015), 0 .. 100: the F-score, with recall twice as important, of character
/// n-grams of 1 to 6 characters without white space, counted over the corpus. Of several
/// references, each sentence has the one that scores it best. Throws std::invalid_argument as
/// score_bleu does.
double score_chrf(const Lines& hypotheses, std::span<const Lines> references, bool lower);
std::string chrf_signature(bool lower, std::size_t references);

}  // namespace rapt::examples
