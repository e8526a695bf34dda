// The training data of the captions program, and its batches.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "examples/captions/options.hpp"
#include "tasks/captions/caption_data.hpp"
#include "tasks/captions/caption_model.hpp"

namespace rapt::examples {
using namespace tasks;

/// A list, its pictures, and its captions as word ids.
struct CaptionSet {
  std::vector<ListedImage> list;
  LoadedPictures pictures;
  std::vector<std::vector<CaptionIds>> captions;
  std::vector<std::vector<const ListedCaption*>> listed;  // the listed captions of these ids
};

/// Reads a list and its pictures. Throws TextError as read_caption_list() and load_pictures() do.
void read(CaptionSet& set, const std::string& path, const std::string& images,
          const CaptionOptions& options, SkipReport& skipped);

/// Converts the captions to word ids. Captions that are too long, or empty without punctuation, are
/// skipped and counted.
void number(CaptionSet& set, const CaptionModel& model, std::int64_t max_words,
            const std::string& path, SkipReport& skipped);

/// Returns a fingerprint of the pictures and the captions.
std::string digest_of(const CaptionSet& set);

/// Makes batches with the tensors of the loss: "images", "target_in" and "target_out". With
/// --words-loss there is "words", [B, V], 1 for each word of the captions. With --guide there is
/// "focus", [B K, T, S], 1 where a word may attend. All randomness comes from seed, epoch and
/// picture.
class CaptionBatches {
 public:
  /// `set` and `model` must outlive this object. Throws TextError if the options need boxes that
  /// the list does not have.
  CaptionBatches(const CaptionOptions& options, const CaptionSet& set, const CaptionModel& model);

  Epoch epoch(std::int64_t number) const;

 private:
  Batch make_batch(const std::vector<std::int64_t>& rows, std::uint64_t random) const;
  /// Returns the indices of the captions of one picture that a step learns.
  std::vector<std::size_t> chosen(std::size_t picture, std::uint64_t random) const;
  /// Returns a caption's words, adapted if the picture is flipped.
  CaptionIds words_of(std::size_t picture, std::size_t caption, bool flipped) const;
  /// Returns the tensor "focus". A word without a visible box may attend everywhere.
  Tensor focus(const std::vector<std::int64_t>& rows, const std::vector<Origin>& origins,
               const std::vector<std::vector<std::size_t>>& chosen, const Shape& target) const;
  /// Returns the share of padding in the captions of these batches.
  double padding(const std::vector<std::vector<std::int64_t>>& batches, std::uint64_t random) const;

  /// Removes colour words from the rows of tinted pictures.
  void hide_colours(CaptionRows& rows, const std::vector<bool>& tinted) const;

  const CaptionOptions& options_;
  const CaptionSet& set_;
  const CaptionModel& model_;
  std::vector<std::int32_t> colours_;  // the ids of --tint-words
};

}  // namespace rapt::examples
