// Which neighbouring steps run together, a few rows at a time.
#pragma once

#include "framework/plan/excerpt.hpp"
#include "framework/plan/plan.hpp"

namespace rapt {

/// A step as far as its rows go.
struct RowStep {
  const Rowwise* rowwise = nullptr;  // null: it does not work row by row
  RowExtent extent = {};
  std::span<const uint32_t> reads = {}, writes = {};  // values, in the order of inputs and outputs
};

/// For each of the steps, which are in the order of execution, the chain that begins there. The
/// steps of a chain have arrays of one size, each reads rows that one before it makes or reads, and
/// of what those before it make, none needs more than its own rows.
std::vector<RowChain> row_chains(const Excerpt& excerpt, const std::vector<RowStep>& steps);

}  // namespace rapt
