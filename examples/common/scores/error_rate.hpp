// Error rates of recognised text: how many words or characters have to be changed, taken out or put
// in to make it the reference.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::examples {

struct ErrorCounts {
  std::int64_t substitutions = 0;
  std::int64_t deletions = 0;   // of the reference that the hypothesis lacks
  std::int64_t insertions = 0;  // of the hypothesis that the reference lacks
  std::int64_t reference = 0;   // tokens of the reference

  std::int64_t errors() const { return substitutions + deletions + insertions; }
  /// Errors for each token of the reference; may be above 1. Of an empty reference: 0 without
  /// errors, else infinite.
  double rate() const;
  ErrorCounts& operator+=(const ErrorCounts& other);
};

/// The fewest errors between two lists of tokens (Levenshtein 1966), each counting 1. Of several
/// ways with as few, the one that has the most substitutions in place of deletions and insertions.
ErrorCounts count_errors(std::span<const std::string> hypothesis,
                         std::span<const std::string> reference);

/// Of the words between white space.
ErrorCounts word_errors(std::string_view hypothesis, std::string_view reference);
/// Of the characters, a blank between two words being one; `hypothesis` and `reference` are valid
/// UTF-8.
ErrorCounts character_errors(std::string_view hypothesis, std::string_view reference);

/// Such as "WER 4.17% (1 substitution, 0 deletions, 1 insertion, 48 words)".
std::string describe(std::string_view name, const ErrorCounts& counts, std::string_view tokens);

}  // namespace rapt::examples
