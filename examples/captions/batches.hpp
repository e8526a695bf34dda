// What the captions program learns from, and the batches that it makes of it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "examples/captions/options.hpp"
#include "examples/common/captions/caption_data.hpp"
#include "examples/common/captions/caption_model.hpp"

namespace rapt::examples {

/// A list, its pictures, and its captions as numbers.
struct CaptionSet {
  std::vector<ListedImage> list;
  LoadedPictures pictures;
  std::vector<std::vector<CaptionIds>> captions;
  std::vector<std::vector<const ListedCaption*>> listed;  // what the numbers stand for
};

/// Reads a list and its pictures. Throws TextError as these do.
void read(CaptionSet& set, const std::string& path, const std::string& images,
          const CaptionOptions& options, SkipReport& skipped);

/// Numbers the words. Captions that are too long, or empty without punctuation, are skipped and
/// counted.
void number(CaptionSet& set, const CaptionModel& model, std::int64_t max_words,
            const std::string& path, SkipReport& skipped);

/// A number that changes with the pictures or the words.
std::string digest_of(const CaptionSet& set);

/// Batches with what the loss needs: "images", "target_in", "target_out"; with --words-loss
/// "words", [B, V], 1 for those that the captions have; with --guide "focus", [B K, T, S], 1 where
/// a word may look. Everything that is drawn follows from seed, epoch and picture.
class CaptionBatches {
 public:
  /// Set and model have to outlive it. Throws TextError where the options need boxes that the list
  /// does not have.
  CaptionBatches(const CaptionOptions& options, const CaptionSet& set, const CaptionModel& model);

  Epoch epoch(std::int64_t number) const;

 private:
  Batch make_batch(const std::vector<std::int64_t>& rows, std::uint64_t random) const;
  /// The numbers of the captions of one picture that a step learns.
  std::vector<std::size_t> chosen(std::size_t picture, std::uint64_t random) const;
  /// A caption of a picture that may be flipped.
  CaptionIds words_of(std::size_t picture, std::size_t caption, bool flipped) const;
  /// A word without a box in sight may look everywhere.
  Tensor focus(const std::vector<std::int64_t>& rows, const std::vector<Origin>& origins,
               const std::vector<std::vector<std::size_t>>& chosen, const Shape& target) const;
  /// The share of the places of these batches that no word fills.
  double padding(const std::vector<std::vector<std::int64_t>>& batches, std::uint64_t random) const;

  /// Takes the words of colours from the rows of pictures that were tinted.
  void hide_colours(CaptionRows& rows, const std::vector<bool>& tinted) const;

  const CaptionOptions& options_;
  const CaptionSet& set_;
  const CaptionModel& model_;
  std::vector<std::int32_t> colours_;  // the numbers of --tint-words
};

}  // namespace rapt::examples
