// Translates text with trained models: one call from text to text.
//
//   const rapt::Translator translator("model");
//   std::cout << translator.translate("ein mann");
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/api.hpp"
#include "models/decoding/beam_search.hpp"

namespace rapt::tasks {
struct TranslationModel;
}

namespace rapt {
inline namespace v0 RAPT_API {

/// What becomes of the token <unk> in translations.
enum class Unknown {
  never,    ///< it is not generated
  keep,     ///< it is generated, and its text is <unk>
  replace,  ///< it is generated, and replaced by the source token with the largest attention
};

struct TranslationOptions {
  std::int64_t beam = 5;      ///< open hypotheses per line; 1 is greedy
  std::int64_t best = 1;      ///< translations per line, at most `beam` of a search
  double length_penalty = 1;  ///< scores are divided by the length to this power
  Stop stop = Stop::likely;
  std::int64_t max_length = 0;  ///< tokens per translation; 0: what the model has room for
  Unknown unknown = Unknown::never;
  bool sample = false;          ///< draws translations instead of searching
  double temperature = 1;       ///< of samples
  std::int64_t top_k = 0;       ///< of samples: the likeliest tokens of each step; 0: all
  double top_p = 1;             ///< of samples: the likeliest tokens with this probability
  std::uint64_t seed = 1;       ///< of samples
  std::int64_t first_line = 0;  ///< of samples: number of the first line, which draws depend on
  std::int64_t batch = 64;      ///< lines that are translated together
  bool attention = false;       ///< true: fills weights and alignment
  /// What each translation has to begin with: empty, or one text per line.
  std::vector<std::string> prefixes = {};
};

/// One translation of a line.
struct Translation {
  std::string text;
  double log_probability = 0;       ///< sum over all tokens and the end mark
  double score = 0;                 ///< log_probability, normalised by length
  std::vector<std::string> tokens;  ///< with the end mark
  std::vector<std::string> source;  ///< tokens of the line, as the model reads them
  /// Attention [tokens, source] of the last decoder layer, a mean over its heads and over models.
  /// Each row has the sum 1. Empty unless requested, and for a model without attention.
  std::vector<float> weights;
  std::vector<std::int64_t> alignment;  ///< per token, the index of the largest weight
};

/// Trained translation models, ready to use. An object is immutable, and copies share the models.
/// All members may be called from several threads at a time, and give the same results as one after
/// the other. There is no global state.
class Translator {
 public:
  /// Loads a model that `translate train` wrote. `threads` limits the threads of each call; 0: as
  /// many as the process may use. Throws an exception with the file's name if a file is missing,
  /// damaged or of another kind: Error, or tasks::TextError.
  explicit Translator(const std::string& folder, int threads = 0);
  /// Loads several models, which translate together as an ensemble. Throws Error if their tokens
  /// differ.
  explicit Translator(const std::vector<std::string>& folders, int threads = 0);

  /// Returns the best translation of a line.
  std::string translate(std::string_view line) const;
  /// Returns translations of each line, the best first. A line without tokens has one empty
  /// translation.
  ///
  /// Throws Error if options contradict each other, or if unknown tokens are to be replaced for
  /// subwords or without attention. Throws it too, with the line's number from 1, for invalid UTF-8
  /// and for more tokens than the model can read.
  std::vector<std::vector<Translation>> translate(std::span<const std::string> lines,
                                                  const TranslationOptions& options = {}) const;

  /// Returns how many tokens of a line the models can read.
  std::int64_t longest_source() const;
  /// Returns the first model, with its options and tokenizers.
  const tasks::TranslationModel& model() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace v0
}  // namespace rapt
