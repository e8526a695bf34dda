// Beam search for models that decode one token per step.
#pragma once

#include "framework/core/api.hpp"
#include "models/decoding/step_model.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Length normalisation: the divisor of a hypothesis' log-probability, for comparing hypotheses of
/// different lengths. The length L counts the end token.
enum class LengthNorm {
  none,   ///< 1
  power,  ///< L^alpha; with alpha 1 the score is the mean over the tokens
  gnmt,   ///< ((5 + L) / 6)^alpha (Wu et al. 2016, equation 14)
};

/// Stopping rule: decides when the search for a sentence ends.
enum class Stop {
  /// Stops once `beam` hypotheses have ended, as in fairseq. A confident model offers an unlikely
  /// end at every step. Such ends can fill the quota before the likely end is found.
  enough,
  /// Stops when no open hypothesis would be among the `best` if it ended now at no cost. Without
  /// length normalisation this is exact; with it, shorter results are favoured. A `beam` of one is
  /// greedy: it stops at its first end token.
  likely,
  /// Stops when no open hypothesis could be among the `best`, whatever its further tokens. The
  /// result is the same as searching up to the maximum length.
  exact,
};

struct BeamOptions {
  int64_t beam = 5;   ///< open hypotheses per sentence
  int64_t best = 1;   ///< hypotheses returned per sentence, at most `beam`
  int32_t begin = 2;  ///< token before the first; negative: the first token of each prefix
  int32_t end = 3;    ///< token that ends a sentence; negative: none
  int32_t pad = 0;    ///< padding token; never generated, and neither is `begin`
  std::vector<int32_t> never = {};  ///< other tokens that are never generated
  LengthNorm norm = LengthNorm::power;
  double alpha = 1;
  /// Maximum length of a sentence, without the end token: length_factor * S + length_extra for S
  /// source tokens, but at most max_length. At that length the end token is forced.
  double length_factor = 2;
  int64_t length_extra = 10;
  int64_t max_length = 1000;
  int64_t min_length = 0;  ///< minimum number of tokens before the end token
  /// Forced beginnings of the sentences: empty, or one list (maybe empty) per sentence.
  std::vector<std::vector<int32_t>> prefixes = {};
  Stop stop = Stop::likely;
  /// True: normalise the scores of each step to log-probabilities. False: use them as they are.
  /// Turn it off for a weighted mean of log-probabilities, whose sum shows how far the members
  /// agree.
  bool normalise = true;
};

/// One result of a search for one sentence.
struct Hypothesis {
  std::vector<int32_t> tokens;  ///< with the prefix, without begin and end tokens
  double log_probability = 0;   ///< sum over all tokens and the end token
  double score = 0;             ///< log_probability, normalised by length
};

/// Returns the best hypotheses for every sentence of the batch, the best first. There may be fewer
/// than `best`. A finished sentence leaves the batch. As in fairseq, a step considers the 2 `beam`
/// likeliest continuations. An end token counts only among the first `beam`. Ties keep the order of
/// rows and tokens.
///
/// Throws Error if options contradict each other, or if the model's scores contain NaN.
std::vector<std::vector<Hypothesis>> beam_search(StepModel& model, const BeamOptions& options = {});

/// Runs beam_search() for a model and the source that its start() takes.
template <class Model, class Source>
std::vector<std::vector<Hypothesis>> beam_search(const Model& model, const Source& source,
                                                 const BeamOptions& options = {}) {
  const std::unique_ptr<StepModel> steps = start(model, source);
  return beam_search(*steps, options);
}

}  // namespace v0
}  // namespace rapt
