#include "framework/plan/waits.hpp"

#include <algorithm>

namespace rapt::internal {

void Waits::follow(std::span<const StepId> after) {
  std::fill(next_row_.begin(), next_row_.end(), 0);
  for (const StepId waited : after) {
    if (next_ - waited > steps || has_run(waited)) continue;
    const uint32_t step = index(waited), next = index(next_);
    uint64_t row[words];
    const uint64_t* const known = rows_.data() + size_t{step % steps} * words;
    std::copy(known, known + words, row);
    // Clears the bits from this step on, which belong to older steps in the same places of the
    // ring.
    for (uint32_t s = step; s < next;) {
      const uint32_t bit = s % 64, count = std::min(64 - bit, next - s);
      const uint64_t ones = count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
      row[s % steps / 64] &= ~(ones << bit);
      s += count;
    }
    row[step % steps / 64] |= uint64_t{1} << (step % 64);
    for (uint32_t w = 0; w < words; ++w) next_row_[w] |= row[w];
  }
}

void Waits::add(std::span<const StepId> after) {
  follow(after);
  std::copy(next_row_.begin(), next_row_.end(),
            rows_.begin() + static_cast<std::ptrdiff_t>(size_t{index(next_) % steps} * words));
  ++next_;
}

}  // namespace rapt::internal
