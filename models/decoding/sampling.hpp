// Sampling: sequences drawn from what a model says.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/random.hpp"
#include "models/decoding/beam_search.hpp"

namespace rapt RAPT_API {

struct SamplingOptions {
  Key key;
  int64_t samples = 1;  // of each sentence
  /// What scores are divided by before they become probabilities.
  double temperature = 1;
  /// Only the k likeliest tokens can come (Fan et al. 2018); 0: all.
  int64_t top_k = 0;
  /// Only the fewest likeliest tokens can come that have this probability together (Holtzman et al.
  /// 2020), of those that top_k leaves.
  double top_p = 1;
  /// The number of the batch's first sentence: a sentence's draws depend on the key, its number and
  /// the sample's, not on what it is batched with.
  int64_t first_sentence = 0;
  // The others are those of BeamOptions.
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

/// For every sentence of the batch its samples, in the order of their numbers. Their
/// log-probability and score are the model's own, without temperature and limits.
///
/// Throws Error for options out of range, and where no token can come.
std::vector<std::vector<Hypothesis>> sample(StepModel& model, const SamplingOptions& options);

/// The same for a model and its source (what start() takes).
template <class Model, class Source>
std::vector<std::vector<Hypothesis>> sample(const Model& model, const Source& source,
                                            const SamplingOptions& options) {
  const std::unique_ptr<StepModel> steps = start(model, source);
  return sample(*steps, options);
}

}  // namespace rapt
