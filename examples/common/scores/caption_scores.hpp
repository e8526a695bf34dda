// Scores of captions, each with any number of right ones beside it, as the field reports them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "examples/common/text/text.hpp"

namespace rapt::examples {

struct CaptionWords {
  bool lower = false;
  bool strip_punctuation = false;  // ASCII punctuation goes, inside words too: "dog's ." is "dogs"
};

/// A caption's words: what stands between blanks. `line` is valid UTF-8.
Sentence caption_words(std::string_view line, const CaptionWords& options);

/// The longest common subsequence of words against every reference, as an F-score with beta 1.2, 0
/// .. 1 (Lin 2004, section 3, equations 2 to 4): precision and recall each of the reference that is
/// best for it, as the COCO caption evaluation (Chen et al. 2015) has it. 0 for an empty caption.
double rouge_l(const Sentence& caption, std::span<const Sentence> references);

/// CIDEr-D (Vedantam, Zitnick and Parikh 2015, section 5) of each caption, 0 .. 10: the mean over
/// n-grams of 1 to 4 words of the clipped cosine of tf-idf vectors, with a Gaussian penalty (sigma
/// 6) for other lengths, the mean over references, times 10. An n-gram's document frequency is the
/// number of entries of `references` with it anywhere. As in COCO's, a term's frequency is its
/// count. Throws std::invalid_argument where the numbers of entries differ.
std::vector<double> cider_d(std::span<const Sentence> captions,
                            std::span<const std::vector<Sentence>> references);

struct CaptionScores {
  std::int64_t captions = 0;
  std::array<double, 4> bleu{};  // BLEU-1 .. 4 of the corpus, 0 .. 100, not smoothed
  double rouge_l = 0;            // mean, 0 .. 100
  double cider_d = 0;            // mean, 0 .. 10
  double exact = 0;              // the share that is one of its references to the word, 0 .. 100
};

/// All of them; references[i] are those of captions[i]. Throws std::invalid_argument where the
/// numbers differ, there is no caption, or one has no reference.
CaptionScores score_captions(std::span<const Sentence> captions,
                             std::span<const std::vector<Sentence>> references);

}  // namespace rapt::examples
