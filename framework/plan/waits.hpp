// The steps that are certain to have run when another step begins.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/core/internal.hpp"
#include "framework/plan/plan_ids.hpp"

namespace rapt::internal {

/// Tracks which of a plan's steps have run when the next one begins, because it waits for them
/// directly or through others. Steps are added one after the other.
class Waits {
 public:
  /// Sets the waits of the next step as far as they are known. has_run() then refers to them.
  void follow(std::span<const StepId> after);
  /// Adds the next step, which waits for `after`.
  void add(std::span<const StepId> after);

  /// True if the step has run when the next one begins. Steps far back are assumed to have run.
  /// This is safe: the answer only guides the choice of memory, and necessary waits do not depend
  /// on it.
  bool has_run(StepId step) const {
    const uint32_t s = index(step);
    return next_ - step > steps || (next_row_[s % steps / 64] >> (s % 64) & 1) != 0;
  }

 private:
  /// Number of previous steps that are tracked: a ring of rows with this many bits per step.
  static constexpr uint32_t steps = 1024;
  static constexpr uint32_t words = steps / 64;

  std::vector<uint64_t> rows_ = std::vector<uint64_t>(size_t{steps} * words);
  std::vector<uint64_t> next_row_ = std::vector<uint64_t>(words);
  StepId next_{};
};

}  // namespace rapt::internal
