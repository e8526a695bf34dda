// The order in which the units of a plan run.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/units.hpp"

namespace rapt::internal {

struct UnitOrder {
  std::vector<uint32_t> units;
  /// The waits of units in addition to those for operands: sorted pairs of a unit and a unit that
  /// runs before it.
  std::vector<std::pair<uint32_t, uint32_t>> before;

  std::span<const std::pair<uint32_t, uint32_t>> before_of(uint32_t unit) const;
};

/// Returns the order of recording, with two exceptions. A fused group runs at the place of its last
/// member, or earlier if another unit needs it. An update runs after all units that read the old
/// value.
UnitOrder order_units(const Excerpt& excerpt, const Units& units);

}  // namespace rapt::internal
