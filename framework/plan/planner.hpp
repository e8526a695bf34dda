// From an excerpt of a graph to a plan.
#pragma once

#include <memory>

#include "framework/plan/excerpt.hpp"
#include "framework/plan/plan.hpp"

namespace rapt {

struct PlanOptions {
  /// Gathers chains of elementwise nodes into one step.
  bool fuse = true;
  /// By how much memory may grow so that fewer steps wait for others to be done with theirs.
  int64_t spare_bytes = 0;
  /// Keeps what every node makes, so that later plans of the tape begin there. Fuses nothing.
  bool keep = false;
};

/// Plans the computation of an excerpt's targets. Values that are leaves or were computed before
/// are read where they are.
std::shared_ptr<Plan> make_plan(const Excerpt& excerpt, const PlanOptions& options);

}  // namespace rapt
