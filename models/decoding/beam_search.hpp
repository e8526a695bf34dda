// Beam search: the likeliest sequences of a model that writes a token at a time.
#pragma once

#include "framework/core/api.hpp"
#include "models/decoding/step_model.hpp"

namespace rapt RAPT_API {

/// What a hypothesis' log-probability is divided by to be compared with shorter and longer ones;
/// its length L counts the end mark.
enum class LengthNorm {
  none,   // 1
  power,  // L^alpha; with alpha 1 the mean of its tokens
  gnmt,   // ((5 + L) / 6)^alpha (Wu et al. 2016, equation 14)
};

/// When a sentence is done.
enum class Stop {
  /// `beam` hypotheses have ended, as in fairseq: the unlikely ends that a sure model has at every
  /// step can make up that number before the likely one has come.
  enough,
  /// No hypothesis that still goes on would come among the `best` if it ended now at no cost.
  /// Without a norm that is exact; with one it favours the shorter of two. A `beam` of one ends
  /// with its first end mark: it is greedy.
  likely,
  /// No hypothesis that still goes on could come among the `best`, whatever its tokens: the same
  /// result as going on to the greatest length.
  exact,
};

struct BeamOptions {
  int64_t beam = 5;   // how many hypotheses of a sentence go on
  int64_t best = 1;   // how many are given, at most `beam`
  int32_t begin = 2;  // the token before the first; negative: the first one of each prefix
  int32_t end = 3;    // the token that ends a sentence; negative: there is none
  int32_t pad = 0;    // never written, as `begin`
  std::vector<int32_t> never = {};  // what else is never written
  LengthNorm norm = LengthNorm::power;
  double alpha = 1;
  /// The most tokens of a sentence of S source tokens, without the end mark, are
  /// length_factor * S + length_extra and at most max_length; then it has to end.
  double length_factor = 2;
  int64_t length_extra = 10;
  int64_t max_length = 1000;
  int64_t min_length = 0;  // the end mark comes after as many tokens
  /// What each sentence has to begin with: none, or a list (maybe empty) a sentence.
  std::vector<std::vector<int32_t>> prefixes = {};
  Stop stop = Stop::likely;
  /// Whether a step's scores are made to log-probabilities first. Without, they count as they
  /// stand: a weighted mean of log-probabilities keeps saying how far its members agree.
  bool normalise = true;
};

/// What a search found for one sentence.
struct Hypothesis {
  std::vector<int32_t> tokens;  // with the prefix, without marks of begin and end
  double log_probability = 0;   // of all tokens and the end mark
  double score = 0;             // the same, normalised by length
};

/// For every sentence of the batch its best hypotheses, the best first; no more than there are. A
/// sentence that is done leaves the batch. As in fairseq, a step looks at the 2 `beam` likeliest
/// continuations, and an end mark counts where it is among the first `beam`. Equal scores keep the
/// order of rows and tokens.
///
/// Throws Error for options that contradict each other, and where a model's scores hold a NaN.
std::vector<std::vector<Hypothesis>> beam_search(StepModel& model, const BeamOptions& options = {});

/// The same for a model and its source (what start() takes).
template <class Model, class Source>
std::vector<std::vector<Hypothesis>> beam_search(const Model& model, const Source& source,
                                                 const BeamOptions& options = {}) {
  const std::unique_ptr<StepModel> steps = start(model, source);
  return beam_search(*steps, options);
}

}  // namespace rapt
