#include "framework/plan/unit_operands.hpp"

namespace rapt::internal {

void find_reads(const Excerpt& excerpt, const Units& units, ValuesOfUnits& reads,
                IdVector<PlanValue, uint32_t>& uses) {
  uses.assign(excerpt.values.size(), 0);
  reads.values.reserve(excerpt.inputs.size());
  IdVector<PlanValue, UnitId> seen_by(excerpt.values.size(), UnitId::none);
  for (const UnitId u : units.ids()) {
    const bool distinct = units.kind(excerpt, u) == UnitKind::elementwise;
    for (const PlanNode n : units[u]) {
      for (const PlanValue input : excerpt.inputs_of(excerpt.nodes[n])) {
        const PlanNode maker = excerpt.values[input].node;
        if (maker != PlanNode::none && units.unit_of[maker] == u) continue;  // in a register
        if (distinct && seen_by[input] == u) continue;
        seen_by[input] = u;
        reads.values.push_back(input);
        if (maker != PlanNode::none) ++uses[excerpt.values[input].base];
      }
    }
    reads.close();
  }
}

}  // namespace rapt::internal
