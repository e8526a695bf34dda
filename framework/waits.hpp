// Which steps have run before another begins.
#pragma once

#include <rapt/framework/plan.hpp>

namespace rapt {

/// Which of a plan's steps have run when the next one begins, as it waits for them, itself or
/// through others.
class Waits {
 public:
  /// For a step that waits for the steps `after`, behind `steps`.
  void follow(std::span<const Plan::Step> steps, const std::vector<uint32_t>& after);

  bool has_run(uint32_t step) const { return step < first_ || run_[step - first_]; }

 private:
  /// Steps farther back are taken to have run, so that long plans are not looked through for every
  /// step.
  static constexpr size_t most_steps = 1024;

  uint32_t first_ = 0;
  std::vector<bool> run_;  // of the steps from first_ on
};

}  // namespace rapt
