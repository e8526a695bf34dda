#include <rapt/framework/waits.hpp>

namespace rapt {

void Waits::follow(std::span<const Plan::Step> steps, const std::vector<uint32_t>& after) {
  first_ = static_cast<uint32_t>(steps.size() - std::min(steps.size(), most_steps));
  run_.assign(steps.size() - first_, false);
  const auto mark = [&](const std::vector<uint32_t>& waited) {
    for (const uint32_t step : waited) {
      if (step >= first_) run_[step - first_] = true;
    }
  };
  mark(after);
  for (size_t s = run_.size(); s-- > 0;) {
    if (run_[s]) mark(steps[first_ + s].after);
  }
}

}  // namespace rapt
