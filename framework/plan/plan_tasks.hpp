// Which steps of a plan may be late, and which make a task.
#pragma once

#include "framework/plan/plan.hpp"

namespace rapt {

/// Says of each step how late it may be.
void find_slack(Plan& plan);

/// Cuts the steps into tasks: runs of neighbours, so that their graph cannot have a cycle.
void make_tasks(Plan& plan);

}  // namespace rapt
