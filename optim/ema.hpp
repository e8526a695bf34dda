// Moving averages of parameters over the steps of training.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/files/checkpoint.hpp"
#include "framework/graph/parameter.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// An exponential moving average of each parameter. After each training step, average = decay
/// average + (1 - decay) parameter (Polyak and Juditsky 1992, in the exponential form). A model
/// often performs better with the averages than with the last step's values.
class ExponentialMovingAverage {
 public:
  /// Starts from the parameters' present values and names. Throws Error for a parameter that has no
  /// value or does not hold floats, and if two have the same name.
  explicit ExponentialMovingAverage(std::vector<Parameter> parameters, double decay = 0.999);

  /// Updates the averages with the present values. Runs immediately, in the thread's executor.
  void update();
  /// Exchanges the parameters with their averages. A second call restores them. Tapes recorded
  /// before have to be recorded again.
  void swap();
  /// Sets the parameters to their averages.
  void copy_to_parameters();

  /// Returns the averages by name, "average/decoder/weight". The arrays share memory with this
  /// object.
  NamedTensors state() const;
  /// Loads saved averages and ignores other names. Throws Error if one is missing or has another
  /// shape or type; nothing has changed then.
  void load(const NamedTensors& state);

 private:
  std::vector<Parameter> parameters_;
  std::vector<Tensor> averages_;
  std::vector<std::string> names_;
  double decay_;
};

}  // namespace v0
}  // namespace rapt
