// The translation edit rate (Snover et al. 2006).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

/// Returns the fewest edits that make the reference of the hypothesis: insertions, deletions and
/// substitutions of words, and shifts of word sequences. Each counts 1. The search for shifts is
/// greedy, with the limits and the order of Tercom and sacrebleu: a shift moves at most 10 words by
/// at most 50 places, and alignments stay within 25 words of the diagonal.
long ter_edits(std::span<const std::string> hypothesis, std::span<const std::string> reference);

/// Returns two numbers for a sentence: its edits against the nearest reference, and the mean length
/// of the references. Words are separated by white space. Throws std::invalid_argument without
/// references.
std::vector<double> ter_statistics(std::string_view hypothesis,
                                   std::span<const std::string> references, bool lower);

/// Returns TER, edits per 100 words, from the statistics of a sentence or their sum. It may exceed
/// 100. References without words give 0 if there are no edits, else 100.
double ter_of(std::span<const double> statistics);

}  // namespace rapt::tasks
