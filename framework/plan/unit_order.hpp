// The order in which the units of a plan run.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/units.hpp"

namespace rapt::internal {

struct UnitOrder {
  IdVector<StepId, UnitId> units;  // a unit becomes a step
  /// The waits of units in addition to those for operands: sorted pairs of a unit and a unit that
  /// runs before it.
  std::vector<std::pair<UnitId, UnitId>> before;

  std::span<const std::pair<UnitId, UnitId>> before_of(UnitId unit) const;
};

/// Returns the order of recording, with two exceptions. A fused group runs at the place of its last
/// member, or earlier if another unit needs it. An update runs after all units that read the old
/// value.
UnitOrder order_units(const Excerpt& excerpt, const Units& units);

}  // namespace rapt::internal
