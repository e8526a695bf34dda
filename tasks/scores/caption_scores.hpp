// The usual scores of captions, each with any number of references.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tasks/text/text.hpp"

namespace rapt::tasks {

struct CaptionWords {
  bool lower = false;
  bool strip_punctuation = false;  // drops ASCII punctuation, inside words too: "dog's ." becomes
                                   // "dogs"
};

/// Splits a caption into words at white space. `line` must be valid UTF-8.
Sentence caption_words(std::string_view line, const CaptionWords& options);

/// Returns ROUGE-L, 0 .. 1 (Lin 2004, section 3, equations 2 to 4). It is an F-score with beta 1.2
/// of the longest common subsequence of words. Precision and recall are each the best over the
/// references, as in the COCO caption evaluation (Chen et al. 2015). An empty caption scores 0.
double rouge_l(const Sentence& caption, std::span<const Sentence> references);

/// Returns the CIDEr-D of each caption, 0 .. 10 (Vedantam, Zitnick and Parikh 2015, section 5). It
/// is the mean over n-grams of 1 to 4 words and over references, times 10, of the clipped cosine of
/// tf-idf vectors. A Gaussian penalty (sigma 6) lowers it for differing lengths. An n-gram's
/// document frequency is the number of entries of `references` that contain it. As in COCO's code,
/// a term's frequency is its count. Throws std::invalid_argument if the numbers of entries differ.
std::vector<double> cider_d(std::span<const Sentence> captions,
                            std::span<const std::vector<Sentence>> references);

struct CaptionScores {
  std::int64_t captions = 0;
  std::array<double, 4> bleu{};  // BLEU-1 .. 4 of the corpus, 0 .. 100, not smoothed
  double rouge_l = 0;            // mean, 0 .. 100
  double cider_d = 0;            // mean, 0 .. 10
  double exact = 0;              // share of captions identical to one of their references, 0 .. 100
};

/// Computes all of them; references[i] are those of captions[i]. Throws std::invalid_argument if
/// the numbers differ, there is no caption, or one has no reference.
CaptionScores score_captions(std::span<const Sentence> captions,
                             std::span<const std::vector<Sentence>> references);

}  // namespace rapt::tasks
