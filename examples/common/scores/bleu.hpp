// The BLEU score of translations.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rapt::examples {

/// Corpus BLEU with its parts.
struct Bleu {
  double score;                      // 0 .. 100
  std::array<double, 4> precisions;  // of 1- to 4-grams, 0 .. 100; 0 where there are no n-grams
  double brevity_penalty;            // 0 .. 1
  std::int64_t hypothesis_length, reference_length;  // in tokens

  /// Hypothesis length over reference length; 0 when the reference is empty.
  double ratio() const;

  /// Such as "BLEU = 33.12 (63.1/40.2/26.7/17.9, BP = 0.987, ratio = 0.987, hypothesis 4567,
  /// reference 4626)", in one line.
  std::string line() const;
};

enum class BleuSmoothing {
  none,         // the score is 0 when any precision is, which a small or bad corpus easily reaches
  exponential,  // the k-th order without a match counts 1/2^k of one (Chen and Cherry 2014, 3)
};

/// BLEU of a corpus with one reference per sentence (Papineni et al., 2002), on the tokens as
/// given: what multi-bleu.perl prints, and sacrebleu with --tokenize none --smooth-method none.
/// Counts are summed over the corpus, and nothing is smoothed. Throws std::invalid_argument when
/// the numbers of sentences differ.
Bleu corpus_bleu(std::span<const std::vector<std::string>> hypotheses,
                 std::span<const std::vector<std::string>> references);

/// BLEU with several references: references[k][i] is the k-th for hypothesis i. An n-gram counts
/// as often as the reference that has most of it; the length that the penalty compares with is that
/// of the reference nearest in length (the shorter of two). A corpus without any match scores 0.
/// Throws std::invalid_argument when the numbers of sentences differ or there is no reference.
Bleu corpus_bleu(std::span<const std::vector<std::string>> hypotheses,
                 std::span<const std::vector<std::vector<std::string>>> references,
                 BleuSmoothing smoothing);

}  // namespace rapt::examples
