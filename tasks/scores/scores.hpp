// Scores of translations as sacrebleu defines them (Post 2018), comparable with published figures.
// They read plain text and split it into their own tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/scores/bleu.hpp"

namespace rapt::tasks {

enum class ScoreTokens {
  none,        // split at white space
  v13a,        // of mteval-v13a, the WMT evaluations' tokens; for Western languages
  characters,  // without white space; for Chinese and Japanese
};

struct ScoreOptions {
  ScoreTokens tokens = ScoreTokens::v13a;  // of BLEU; chrF uses none
  bool lower = false;
};

/// Splits a line into tokens like sacrebleu's `--tokenize none`, `13a` or `char`.
std::vector<std::string> score_tokens(std::string_view line, const ScoreOptions& options);

using Lines = std::vector<std::string>;

/// Returns the BLEU of lines of text, with sacrebleu's smoothing (exp). references[k] are all lines
/// of the k-th reference. Throws std::invalid_argument as corpus_bleu does.
Bleu score_bleu(const Lines& hypotheses, std::span<const Lines> references,
                const ScoreOptions& options);

/// Returns a signature such as "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:rapt-1", which
/// should accompany a BLEU figure. The last part names this implementation.
std::string bleu_signature(const ScoreOptions& options, std::size_t references);

/// Returns chrF2 (Popovic 2015), 0 .. 100. It is an F-score of character n-grams of 1 to 6
/// characters without white space, counted over the corpus; recall is twice as important. With
/// several references, each sentence uses the one that scores it best. Throws std::invalid_argument
/// as score_bleu does.
double score_chrf(const Lines& hypotheses, std::span<const Lines> references, bool lower);
std::string chrf_signature(bool lower, std::size_t references);

}  // namespace rapt::tasks
