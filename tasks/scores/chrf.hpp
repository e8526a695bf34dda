// The chrF score of translations.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

struct ChrfOptions {
  bool lower = false;
  int word_order = 0;  // longest n-grams of words that count too; 2: chrF++ (Popovic 2017)
};

/// Counts n-grams of 1 to 6 characters without white space, then of words. For each order there are
/// three numbers: n-grams of the hypothesis, of the reference, and of both. Of several references
/// the one is taken that scores best. Throws std::invalid_argument without references.
std::vector<double> chrf_statistics(std::string_view hypothesis,
                                    std::span<const std::string> references,
                                    const ChrfOptions& options);

/// Returns chrF2 (Popovic 2015), 0 .. 100, from the statistics of a sentence or their sum over a
/// corpus. It is an F-score of the n-grams; recall is twice as important. Precision and recall are
/// means over the orders that both texts have.
double chrf_of(std::span<const double> statistics);

}  // namespace rapt::tasks
