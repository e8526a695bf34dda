// The units of execution of a plan: sets of nodes that become one step.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/excerpt.hpp"

namespace rapt::internal {

/// What a unit is: one node; a group of elementwise nodes; an operator and the sum that it adds to
/// its output.
enum class UnitKind : uint8_t { single, elementwise, residual };

/// Returns the name of a kind in the planner's log.
std::string_view name(UnitKind kind);

/// The division of an excerpt's nodes into units. The nodes of a unit are in ascending order.
struct Units {
  std::vector<uint32_t> nodes;    // all nodes, unit after unit
  std::vector<uint32_t> first;    // by unit: its first index in `nodes`; the last entry is the end
  std::vector<uint32_t> unit_of;  // by node

  /// Sets the units from a number per node. Nodes with the same number, which is below `numbers`,
  /// form a unit.
  void assign(const std::vector<uint32_t>& number_of, uint32_t numbers);
  uint32_t size() const { return static_cast<uint32_t>(first.size()) - 1; }
  std::span<const uint32_t> operator[](uint32_t unit) const {
    return {nodes.data() + first[unit], first[unit + 1] - first[unit]};
  }
  UnitKind kind(const Excerpt& excerpt, uint32_t unit) const {
    const std::span<const uint32_t> all = (*this)[unit];
    if (excerpt.nodes[all.front()].op->cpu.pointwise != nullptr) return UnitKind::elementwise;
    return all.size() == 1 ? UnitKind::single : UnitKind::residual;
  }
  /// Returns the node whose operator computes the unit: the first one of a residual unit, where the
  /// sum follows, and else the last one.
  uint32_t leader(const Excerpt& excerpt, uint32_t unit) const {
    const std::span<const uint32_t> all = (*this)[unit];
    return kind(excerpt, unit) == UnitKind::residual ? all.front() : all.back();
  }
};

}  // namespace rapt::internal
