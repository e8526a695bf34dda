// Ensembles: several models decode one text together.
#pragma once

#include <memory>
#include <vector>

#include "framework/core/api.hpp"
#include "models/decoding/step_model.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// How the scores of the members are combined.
enum class Average {
  probabilities,      ///< logarithm of the weighted mean probability
  log_probabilities,  ///< weighted mean of log-probabilities: the geometric mean, unnormalised
};

/// Combines models with a common vocabulary into one. `weights` holds one positive weight per
/// member, and they sum to 1; empty means equal weights. Throws Error if there are no members, if
/// their numbers of sentences differ, or if the weights do not meet these conditions.
std::unique_ptr<StepModel> ensemble(std::vector<std::unique_ptr<StepModel>> members,
                                    Average average = Average::probabilities,
                                    std::vector<double> weights = {});

}  // namespace v0
}  // namespace rapt
