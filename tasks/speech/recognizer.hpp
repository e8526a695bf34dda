// Recognises speech with a trained model: one call from a file or samples to text.
//
//   const rapt::Recognizer recognizer("model");
//   std::cout << recognizer.recognize("seven.wav");
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/core/api.hpp"
#include "tasks/audio/audio.hpp"
#include "tasks/speech/speech_model.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct RecognitionOptions {
  /// Beam, weight of CTC, length penalty, and the number of texts per utterance.
  tasks::SearchOptions search = {};
  std::int64_t batch_frames = 4000;  ///< frames that are recognised together, with padding
  bool attention = false;            ///< true: fills weights and seconds
};

/// One text of an utterance.
struct Recognition {
  std::string text;
  double log_probability = 0;       ///< joint score of attention and CTC, summed over the tokens
  double score = 0;                 ///< log_probability, normalised by length
  std::vector<std::string> tokens;  ///< with the end mark
  /// Attention [tokens, times] of the last decoder layer, a mean over its heads. The times divide
  /// the utterance evenly. Empty unless requested.
  std::vector<float> weights;
  std::vector<double> seconds;  ///< per token, the middle of the time of largest weight
};

/// A trained recogniser, ready to use. An object is immutable, and copies share the model. All
/// members may be called from several threads at a time, and give the same results as one after
/// the other. There is no global state.
class Recognizer {
 public:
  /// Loads a model that `speech train` wrote. `threads` limits the threads of each call; 0: as many
  /// as the process may use. Throws an exception with the file's name if a file is missing, damaged
  /// or of another kind: Error, or tasks::TextError.
  explicit Recognizer(const std::string& folder, int threads = 0);

  /// Returns the text of a recording in a file of one channel, at the model's rate. Throws
  /// tasks::AudioError as tasks::read_audio() does.
  std::string recognize(const std::string& file) const;
  /// Returns the text of a recording in memory. Throws Error as the next function does.
  std::string recognize(const tasks::Audio& recording) const;
  /// Returns texts for each recording, the best first. A recording too short for any text has one
  /// empty text.
  ///
  /// Throws Error, with the recording's number from 1, for another rate than the model's, for no
  /// samples, for samples that are not finite, and for more frames than the model can read.
  std::vector<std::vector<Recognition>> recognize(std::span<const tasks::Audio> recordings,
                                                  const RecognitionOptions& options = {}) const;

  /// Returns the model, with its options and tokens.
  const tasks::SpeechModel& model() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace v0
}  // namespace rapt
