// Which steps have run before another begins.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rapt {

/// Which of a plan's steps have run when the next one begins, as it waits for them, itself or
/// through others. Steps are added one after the other.
class Waits {
 public:
  /// Says what the next step waits for, as far as it is known: has_run() then speaks of that.
  void follow(std::span<const uint32_t> after);
  /// Adds the next step, which waits for `after`.
  void add(std::span<const uint32_t> after);

  /// Whether the step has run when the next one begins. Steps far back are taken to have run: the
  /// answer chooses memory, and what must be waited for does not depend on it.
  bool has_run(uint32_t step) const {
    return next_ - step > steps || (next_row_[step % steps / 64] >> (step % 64) & 1) != 0;
  }

 private:
  /// How far back it looks: a row of so many bits per step, in a ring.
  static constexpr uint32_t steps = 1024;
  static constexpr uint32_t words = steps / 64;

  std::vector<uint64_t> rows_ = std::vector<uint64_t>(size_t{steps} * words);
  std::vector<uint64_t> next_row_ = std::vector<uint64_t>(words);
  uint32_t next_ = 0;
};

}  // namespace rapt
