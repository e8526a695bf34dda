// Sampling: draws sequences from the distribution of a model.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"
#include "models/decoding/beam_search.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct SamplingOptions {
  Key key;
  int64_t samples = 1;  ///< samples per sentence
  /// Divisor of the scores before softmax.
  double temperature = 1;
  /// Restricts each step to the k likeliest tokens (Fan et al. 2018); 0: all.
  int64_t top_k = 0;
  /// Restricts each step to the smallest set of likeliest tokens with this total probability
  /// (Holtzman et al. 2020). It is applied after top_k.
  double top_p = 1;
  /// Index of the first sentence of the batch. A sentence's draws depend on the key, its index and
  /// the index of the sample. They do not depend on the rest of the batch.
  int64_t first_sentence = 0;
  // The following options are the same as in BeamOptions.
  int32_t begin = 2;
  int32_t end = 3;
  int32_t pad = 0;
  std::vector<int32_t> never = {};
  double length_factor = 2;
  int64_t length_extra = 10;
  int64_t max_length = 1000;
  int64_t min_length = 0;
  std::vector<std::vector<int32_t>> prefixes = {};
};

/// Returns the samples of every sentence of the batch, in the order of their indices.
/// Log-probability and score are those of the model itself, without temperature and restrictions.
///
/// Throws Error if options are out of range, or if no token is allowed at some step.
std::vector<std::vector<Hypothesis>> sample(StepModel& model, const SamplingOptions& options);

/// Runs sample() for a model and the source that its start() takes.
template <class Model, class Source>
std::vector<std::vector<Hypothesis>> sample(const Model& model, const Source& source,
                                            const SamplingOptions& options) {
  const std::unique_ptr<StepModel> steps = start(model, source);
  return sample(*steps, options);
}

}  // namespace v0
}  // namespace rapt
