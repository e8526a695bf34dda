// The BLEU score of translations.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rapt::tasks {

/// Corpus BLEU with its components.
struct Bleu {
  double score;                      // 0 .. 100
  std::array<double, 4> precisions;  // of 1- to 4-grams, 0 .. 100; 0 without n-grams
  double brevity_penalty;            // 0 .. 1
  std::int64_t hypothesis_length, reference_length;  // in tokens

  /// Returns hypothesis length over reference length; 0 for an empty reference.
  double ratio() const;

  /// Returns one line such as "BLEU = 33.12 (63.1/40.2/26.7/17.9, BP = 0.987, ratio = 0.987,
  /// hypothesis 4567, reference 4626)".
  std::string line() const;
};

enum class BleuSmoothing {
  none,         // the score is 0 if any precision is 0, as happens in small corpora
  exponential,  // the k-th order without a match counts 1/2^k of a match (Chen and Cherry 2014, 3)
};

/// Returns the BLEU of a corpus with one reference per sentence (Papineni et al., 2002), on the
/// tokens as given. Counts are summed over the corpus, and nothing is smoothed. The score equals
/// that of multi-bleu.perl, and of sacrebleu with --tokenize none --smooth-method none. Throws
/// std::invalid_argument if the numbers of sentences differ.
Bleu corpus_bleu(std::span<const std::vector<std::string>> hypotheses,
                 std::span<const std::vector<std::string>> references);

/// Returns BLEU with several references: references[k][i] is the k-th for hypothesis i. The count
/// of an n-gram is clipped to the largest count in any reference. The brevity penalty uses the
/// reference nearest in length (the shorter of two). A corpus without any match scores 0. Throws
/// std::invalid_argument if the numbers of sentences differ or there is no reference.
Bleu corpus_bleu(std::span<const std::vector<std::string>> hypotheses,
                 std::span<const std::vector<std::vector<std::string>>> references,
                 BleuSmoothing smoothing);

/// Counts of a sentence, or their sum over a corpus: matches of 1- to 4-grams, n-grams of these
/// orders, tokens of the hypothesis, and tokens of the reference nearest in length.
using BleuCounts = std::array<std::int64_t, 10>;

/// Throws std::invalid_argument without references.
BleuCounts bleu_counts(std::span<const std::string> hypothesis,
                       std::span<const std::vector<std::string>> references);

/// Returns BLEU from counts. With `effective_order`, orders without n-grams in the hypothesis do
/// not count, which suits single sentences.
Bleu bleu_of(const BleuCounts& counts, BleuSmoothing smoothing, bool effective_order = false);

}  // namespace rapt::tasks
