// Chains of consecutive steps that run together, a few rows at a time.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/excerpt.hpp"
#include "framework/plan/plan.hpp"

namespace rapt::internal {

/// A step, as far as its rows are concerned.
struct RowStep {
  const Rowwise* rowwise = nullptr;  // null: it does not work row by row
  RowExtent extent = {};
  std::span<const PlanValue> reads = {}, writes = {};  // in the order of inputs and outputs
};

/// Returns for each step the chain that begins there. The steps are in the order of execution. All
/// steps of a chain have arrays of one size. Each reads rows that an earlier step of the chain
/// computes or reads. From an earlier step's outputs it needs its own rows only.
IdVector<StepId, RowChain> row_chains(const Excerpt& excerpt,
                                      const IdVector<StepId, RowStep>& steps);

}  // namespace rapt::internal
