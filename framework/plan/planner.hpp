// Construction of a plan from an excerpt of a graph.
#pragma once

#include <memory>
#include <string>

#include "framework/core/internal.hpp"
#include "framework/plan/excerpt.hpp"
#include "framework/plan/plan.hpp"

namespace rapt::internal {

struct PlanOptions {
  /// Fuses chains of elementwise nodes into one step.
  bool fuse = true;
  /// Extra memory, in bytes, that may be used so that fewer steps wait for the memory of others.
  int64_t spare_bytes = 0;
  /// Keeps the results of all nodes, so that later plans of the tape can start from them. Nothing
  /// is fused then.
  bool keep = false;
  /// Where each pass writes what it made (framework/plan/pass_log.hpp), or null.
  std::string* log = nullptr;
};

/// Plans the computation of an excerpt's targets. Leaves and values that were computed before are
/// read in place.
std::shared_ptr<Plan> make_plan(const Excerpt& excerpt, const PlanOptions& options);

}  // namespace rapt::internal
