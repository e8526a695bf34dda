// Several models that write one text together.
#pragma once

#include <memory>
#include <vector>

#include "framework/core/api.hpp"
#include "models/decoding/step_model.hpp"

namespace rapt RAPT_API {

/// How the members of an ensemble agree.
enum class Average {
  probabilities,      // the logarithm of the mean of their probabilities
  log_probabilities,  // the mean of their logarithms: the geometric mean, not normalised
};

/// Several models with one vocabulary, writing together. `weights` says how much each counts, and
/// they add up to 1; none: all the same. Throws Error for no members, where they have different
/// numbers of sentences, and for weights that are not as many, not positive, or add up to another
/// sum.
std::unique_ptr<StepModel> ensemble(std::vector<std::unique_ptr<StepModel>> members,
                                    Average average = Average::probabilities,
                                    std::vector<double> weights = {});

}  // namespace rapt
