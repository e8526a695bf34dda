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

enum class UnitId : uint32_t { none = ~0u };

/// The division of an excerpt's nodes into units. The nodes of a unit are in ascending order.
struct Units {
  std::vector<PlanNode> nodes;       // all nodes, unit after unit
  IdVector<UnitId, uint32_t> first;  // its first index in `nodes`; the last entry is the end
  IdVector<PlanNode, UnitId> unit_of;

  /// Sets the units from a representative per node. Nodes with the same one form a unit.
  void assign(const IdVector<PlanNode, PlanNode>& representative);
  uint32_t size() const { return static_cast<uint32_t>(first.size()) - 1; }
  IdRange<UnitId> ids() const { return {UnitId{}, size()}; }
  std::span<const PlanNode> operator[](UnitId unit) const {
    return {nodes.data() + first[unit], first[unit + 1] - first[unit]};
  }
  UnitKind kind(const Excerpt& excerpt, UnitId unit) const {
    const std::span<const PlanNode> all = (*this)[unit];
    if (excerpt.nodes[all.front()].op->cpu.pointwise != nullptr) return UnitKind::elementwise;
    return all.size() == 1 ? UnitKind::single : UnitKind::residual;
  }
  /// Returns the node whose operator computes the unit: the first one of a residual unit, where the
  /// sum follows, and else the last one.
  PlanNode leader(const Excerpt& excerpt, UnitId unit) const {
    const std::span<const PlanNode> all = (*this)[unit];
    return kind(excerpt, unit) == UnitKind::residual ? all.front() : all.back();
  }
};

}  // namespace rapt::internal
