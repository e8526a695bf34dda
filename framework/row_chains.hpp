// Which neighbouring steps run together, a few rows at a time.
#pragma once

#include <rapt/framework/excerpt.hpp>

namespace rapt {

/// How an operator works row by row, or null.
inline const Rowwise* rowwise_of(const Op& op) {
  return op.pointwise != nullptr ? &op.pointwise->program : op.rowwise;
}

/// A step as far as its rows go.
struct RowStep {
  const Rowwise* rowwise = nullptr;  // null: it does not work row by row
  RowExtent extent = {};
  std::span<const uint32_t> reads = {}, writes = {};  // values, in the order of inputs and outputs
};

struct RowChain {
  uint32_t steps = 1;    // of the chain that begins here; 0: within one
  int64_t elements = 0;  // of a range
  int64_t unit = 1;      // of which ranges are multiples
};

/// For each of the steps, which are in the order of execution, the chain that begins there. The
/// steps of a chain have arrays of one size, each reads rows that one before it makes or reads, and
/// of what those before it make, none needs more than its own rows.
std::vector<RowChain> row_chains(const Excerpt& excerpt, const std::vector<RowStep>& steps);

}  // namespace rapt
