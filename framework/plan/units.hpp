// The units of execution of a plan: nodes that become one step.
#pragma once

#include "framework/plan/excerpt.hpp"

namespace rapt {

/// Each node of an excerpt belongs to one unit; a unit's nodes are in ascending order.
struct Units {
  std::vector<uint32_t> nodes;    // unit after unit
  std::vector<uint32_t> first;    // by unit, in `nodes`, and the end
  std::vector<uint32_t> unit_of;  // by node

  /// From any number that the nodes of a unit have in common, below `numbers`.
  void assign(const std::vector<uint32_t>& number_of, uint32_t numbers);
  uint32_t size() const { return static_cast<uint32_t>(first.size()) - 1; }
  std::span<const uint32_t> operator[](uint32_t unit) const {
    return {nodes.data() + first[unit], first[unit + 1] - first[unit]};
  }
  /// The node whose operator computes the unit.
  uint32_t leader(const Excerpt& excerpt, uint32_t unit) const {
    const std::span<const uint32_t> all = (*this)[unit];
    return excerpt.nodes[all.front()].op->adds != nullptr ? all.front() : all.back();
  }
};

}  // namespace rapt
