// The values that each unit of a plan reads from memory and writes to it.
#pragma once

#include <span>
#include <vector>

#include "framework/core/internal.hpp"
#include "framework/plan/excerpt.hpp"
#include "framework/plan/units.hpp"

namespace rapt::internal {

/// A list of values per unit.
struct ValuesOfUnits {
  std::vector<PlanValue> values;
  IdVector<UnitId, uint32_t> first = {0};

  std::span<const PlanValue> operator[](UnitId unit) const {
    return {values.data() + first[unit], first[unit + 1] - first[unit]};
  }
  /// Ends the list of the present unit.
  void close() { first.push_back(static_cast<uint32_t>(values.size())); }
};

/// Appends the values that each unit reads from memory, and adds to `uses` the number of units that
/// read each base. What a unit computes itself it does not read. A unit of one node keeps its
/// operands as they are, including duplicates; an elementwise unit lists each once.
void find_reads(const Excerpt& excerpt, const Units& units, ValuesOfUnits& reads,
                IdVector<PlanValue, uint32_t>& uses);

/// Appends the values that each unit writes to memory: all outputs of a unit of one node; of a
/// larger one those that other units read, and those with memory of their own (`is_apart`).
template <class IsApart>
void find_writes(const Excerpt& excerpt, const Units& units,
                 const IdVector<PlanValue, uint32_t>& uses, const IsApart& is_apart,
                 ValuesOfUnits& writes) {
  for (const UnitId u : units.ids()) {
    const std::span<const PlanNode> unit = units[u];
    for (const PlanNode n : unit) {
      for (const PlanValue value : excerpt.nodes[n].values()) {
        if (unit.size() > 1 && uses[value] == 0 && !is_apart(value)) continue;
        writes.values.push_back(value);
      }
    }
    writes.close();
  }
}

}  // namespace rapt::internal
