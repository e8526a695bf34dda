// In what order the units of a plan run.
#pragma once

#include <rapt/framework/tape.hpp>

namespace rapt {

struct UnitOrder {
  std::vector<uint32_t> units;
  std::vector<std::vector<uint32_t>> before;  // by unit: what it waits for besides its operands
};

/// Tape order, but that a fused group runs where its last member stands, or earlier where something
/// asks for it; and that an update runs after all that read the old value. `unit_of` is by node.
UnitOrder order_units(const Graph& graph, const std::vector<bool>& known,
                      const std::vector<std::vector<uint32_t>>& units,
                      const std::vector<int>& unit_of);

}  // namespace rapt
