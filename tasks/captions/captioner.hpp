// Describes pictures with trained models: one call from a file or pixels to text.
//
//   const rapt::Captioner captioner("model");
//   std::cout << captioner.caption("dog.jpg");
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/core/api.hpp"
#include "tasks/captions/caption_model.hpp"
#include "tasks/images/images.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct CaptioningOptions {
  std::int64_t beam = 5;         ///< open hypotheses per picture; 1 is greedy
  std::int64_t best = 1;         ///< captions per picture, at most `beam`
  double length_penalty = 1;     ///< scores are divided by the length to this power
  std::int64_t max_length = 40;  ///< words per caption
  std::int64_t batch = 32;       ///< pictures that are described together
  bool attention = false;        ///< true: fills weights
};

/// One caption of a picture.
struct Caption {
  std::string text;
  double log_probability = 0;  ///< sum over all words and the end mark
  double score = 0;            ///< log_probability, normalised by length
  std::vector<std::string> words;
  /// Attention of each word, [words, grid_height, grid_width]: that of the last layer, a mean over
  /// its heads, by the first model. The cells divide the picture evenly. Empty unless requested.
  std::vector<float> weights;
  std::int64_t grid_height = 0, grid_width = 0;
};

/// Trained caption models, ready to use. An object is immutable, and copies share the models. All
/// members may be called from several threads at a time, and give the same results as one after
/// the other. There is no global state.
class Captioner {
 public:
  /// Loads a model that `captions train` wrote. `threads` limits the threads of each call; 0: as
  /// many as the process may use. Throws an exception with the file's name if a file is missing,
  /// damaged or of another kind: Error, or tasks::TextError.
  explicit Captioner(const std::string& folder, int threads = 0);
  /// Loads several models, which write together as an ensemble. Throws Error if their words differ.
  explicit Captioner(const std::vector<std::string>& folders, int threads = 0);

  /// Returns the best caption of a JPEG or PNG file. Throws tasks::TextError as
  /// tasks::read_image() does.
  std::string caption(const std::string& file) const;
  /// Returns the best caption of a picture in memory, of any size.
  std::string caption(const tasks::Image& picture) const;
  /// Returns captions of each picture, the best first. Pictures are resized to what the model
  /// reads. Throws Error if options contradict each other, and, with its number from 1, for a
  /// picture without pixels or with another number of them than its size says.
  std::vector<std::vector<Caption>> caption(std::span<const tasks::Image> pictures,
                                            const CaptioningOptions& options = {}) const;

  /// Returns the first model, with its options and words.
  const tasks::CaptionModel& model() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace v0
}  // namespace rapt
