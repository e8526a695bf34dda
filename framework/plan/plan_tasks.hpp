// Slack of a plan's steps, and their division into tasks.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/plan.hpp"

namespace rapt::internal {

/// Sets the slack of each step: how late it may be without lengthening the critical path.
void find_slack(Plan& plan);

/// Divides the steps into tasks. A task consists of consecutive steps, so that the tasks' graph has
/// no cycle.
void make_tasks(Plan& plan);

}  // namespace rapt::internal
