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
  IdVector<StepId, double> before(plan.steps.size()), from(plan.steps.size());
  double all = 0;
  for (const StepId s : plan.steps.ids()) {
    for (const StepId other : plan.steps[s].after) {
      before[s] = std::max(before[s], before[other] + plan.steps[other].cost);
    }
  }
  for (StepId s = plan.steps.next(); s > StepId{};) {
    --s;
    from[s] += plan.steps[s].cost;
    for (const StepId other : plan.steps[s].after) from[other] = std::max(from[other], from[s]);
    all = std::max(all, before[s] + from[s]);
  }
  for (const StepId s : plan.steps.ids()) plan.steps[s].slack = all - before[s] - from[s];
}

void make_tasks(Plan& plan) {
  IdVector<StepId, TaskId> task_of(plan.steps.size());
  double cost = 0;
  for (const StepId s : plan.steps.ids()) {
    const Plan::Step& step = plan.steps[s];
    const bool update = step.op->traits.mutates != 0;
    const bool wall = update && plan.first_update_task == TaskId::none;
    const bool full = cost + step.cost > task_nanoseconds && step.chain.steps > 0;
    if (plan.tasks.empty() || full || wall) {
      if (wall) plan.first_update_task = plan.tasks.next();
      plan.tasks.push_back({s, 0, {}});
      cost = 0;
    }
    cost += step.cost;
    ++plan.tasks.back().steps;
    task_of[s] = plan.tasks.last();
    for (const StepId other : step.after) {
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
