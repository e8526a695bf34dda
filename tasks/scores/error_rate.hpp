// Error rates of recognised text: the number of words or characters to substitute, delete or insert
// to obtain the reference.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

struct ErrorCounts {
  std::int64_t substitutions = 0;
  std::int64_t deletions = 0;   // tokens of the reference that the hypothesis lacks
  std::int64_t insertions = 0;  // tokens of the hypothesis that the reference lacks
  std::int64_t reference = 0;   // tokens of the reference

  std::int64_t errors() const { return substitutions + deletions + insertions; }
  /// Returns errors per token of the reference, which may exceed 1. For an empty reference it is 0
  /// without errors, else infinite.
  double rate() const;
  ErrorCounts& operator+=(const ErrorCounts& other);
};

/// Counts the fewest errors between two lists of tokens (Levenshtein 1966); each counts 1. Among
/// equal alignments, takes the one with the most substitutions.
ErrorCounts count_errors(std::span<const std::string> hypothesis,
                         std::span<const std::string> reference);

/// Counts errors in the words between white space.
ErrorCounts word_errors(std::string_view hypothesis, std::string_view reference);
/// Counts errors in the characters; the space between two words is one character. `hypothesis` and
/// `reference` must be valid UTF-8.
ErrorCounts character_errors(std::string_view hypothesis, std::string_view reference);

/// Returns text such as "WER 4.17% (1 substitution, 0 deletions, 1 insertion, 48 words)".
std::string describe(std::string_view name, const ErrorCounts& counts, std::string_view tokens);

}  // namespace rapt::tasks
