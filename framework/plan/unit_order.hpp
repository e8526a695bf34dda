// In what order the units of a plan run.
#pragma once

#include "framework/plan/units.hpp"

namespace rapt {

struct UnitOrder {
  std::vector<uint32_t> units;
  /// What a unit waits for besides its operands: pairs of a unit and one that runs before it,
  /// sorted.
  std::vector<std::pair<uint32_t, uint32_t>> before;

  std::span<const std::pair<uint32_t, uint32_t>> before_of(uint32_t unit) const;
};

/// The order of recording, but that a fused group runs where its last member stands, or earlier
/// where something asks for it; and that an update runs after all that read the old value.
UnitOrder order_units(const Excerpt& excerpt, const Units& units);

}  // namespace rapt
