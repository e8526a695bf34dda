// Computes the slack of a plan's steps, and divides them into tasks.
#include "framework/plan/plan_tasks.hpp"

#include <algorithm>

namespace rapt::internal {
namespace {

/// Maximum estimated time of the steps that are merged into a task. It makes the cost of starting a
/// task negligible.
constexpr double task_nanoseconds = 20000;

}  // namespace

void find_slack(Plan& plan) {
  // The longest path to each step, and the longest path from its beginning to the end.
  std::vector<double> before(plan.steps.size()), from(plan.steps.size());
  double all = 0;
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    for (const uint32_t other : plan.steps[s].after) {
      before[s] = std::max(before[s], before[other] + plan.steps[other].cost);
    }
  }
  for (size_t s = plan.steps.size(); s-- > 0;) {
    from[s] += plan.steps[s].cost;
    for (const uint32_t other : plan.steps[s].after) from[other] = std::max(from[other], from[s]);
    all = std::max(all, before[s] + from[s]);
  }
  for (size_t s = 0; s < plan.steps.size(); ++s) plan.steps[s].slack = all - before[s] - from[s];
}

void make_tasks(Plan& plan) {
  std::vector<uint32_t> task_of(plan.steps.size());
  double cost = 0;
  for (uint32_t s = 0; s < plan.steps.size(); ++s) {
    const Plan::Step& step = plan.steps[s];
    const bool update = step.op->traits.mutates != 0;
    const bool wall = update && plan.first_update_task < 0;
    const bool full = cost + step.cost > task_nanoseconds && step.chain.steps > 0;
    if (plan.tasks.empty() || full || wall) {
      if (wall) plan.first_update_task = static_cast<int>(plan.tasks.size());
      plan.tasks.push_back({s, 0, {}});
      cost = 0;
    }
    cost += step.cost;
    ++plan.tasks.back().steps;
    task_of[s] = static_cast<uint32_t>(plan.tasks.size()) - 1;
    for (const uint32_t other : step.after) {
      auto& successors = plan.tasks[task_of[other]].successors;
      if (task_of[other] == task_of[s]) continue;
      if (std::find(successors.rbegin(), successors.rend(), task_of[s]) != successors.rend()) {
        continue;
      }
      successors.push_back(task_of[s]);
    }
  }
}

}  // namespace rapt::internal
