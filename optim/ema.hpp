// Averages of parameters over the steps of training.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/files/checkpoint.hpp"
#include "framework/graph/parameter.hpp"

namespace rapt RAPT_API {

/// Averages of parameters, in which older values count less and less: after each step of training
/// average = decay average + (1 - decay) parameter (Polyak and Juditsky 1992, in the exponential
/// form). A model often does better with them than with the last step's values.
class ExponentialMovingAverage {
 public:
  /// Starts from the parameters' present values and names. Throws Error for a parameter without a
  /// value or not of floats, and where two have the same name.
  explicit ExponentialMovingAverage(std::vector<Parameter> parameters, double decay = 0.999);

  /// Takes in the present values; runs at once, in the thread's executor.
  void update();
  /// Exchanges the parameters with their averages; a second call puts them back. Tapes recorded
  /// before have to be recorded anew.
  void swap();
  /// Sets the parameters to their averages.
  void copy_to_parameters();

  /// The averages by name, "average/decoder/weight"; their own memory.
  NamedTensors state() const;
  /// Takes over saved averages; other names are passed over. Throws Error where one is missing, or
  /// has another shape or type; then nothing has changed.
  void load(const NamedTensors& state);

 private:
  std::vector<Parameter> parameters_;
  std::vector<Tensor> averages_;
  std::vector<std::string> names_;
  double decay_;
};

}  // namespace rapt
