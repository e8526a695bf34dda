#include "framework/plan/units.hpp"

namespace rapt::internal {

std::string_view name(UnitKind kind) {
  switch (kind) {
    case UnitKind::single:
      return "single";
    case UnitKind::elementwise:
      return "elementwise";
    default:
      return "residual";
  }
}

void Units::assign(const IdVector<PlanNode, PlanNode>& representative) {
  // Units are numbered in the order of their first nodes.
  IdVector<PlanNode, UnitId> unit_of_representative(representative.size(), UnitId::none);
  unit_of.resize(representative.size());
  first.assign(1, 0);
  for (const PlanNode n : representative.ids()) {
    UnitId& unit = unit_of_representative[representative[n]];
    if (unit == UnitId::none) {
      unit = UnitId{size()};
      first.push_back(0);
    }
    unit_of[n] = unit;
    ++first[unit + 1];
  }
  for (const UnitId u : ids()) first[u + 1] += first[u];
  nodes.resize(representative.size());
  IdVector<UnitId, uint32_t> next(first.begin(), first.end() - 1);
  for (const PlanNode n : unit_of.ids()) nodes[next[unit_of[n]]++] = n;
}

}  // namespace rapt::internal
