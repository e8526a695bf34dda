#include "framework/plan/unit_operands.hpp"

namespace rapt::internal {

void find_reads(const Excerpt& excerpt, const Units& units, ValuesOfUnits& reads,
                std::vector<uint32_t>& uses) {
  uses.assign(excerpt.values.size(), 0);
  reads.values.reserve(excerpt.inputs.size());
  std::vector<uint32_t> seen_by(excerpt.values.size(), Excerpt::none);
  for (uint32_t u = 0; u < units.size(); ++u) {
    const bool distinct = units.kind(excerpt, u) == UnitKind::elementwise;
    for (const uint32_t n : units[u]) {
      for (const uint32_t input : excerpt.inputs_of(excerpt.nodes[n])) {
        const uint32_t maker = excerpt.values[input].node;
        if (maker != Excerpt::none && units.unit_of[maker] == u) continue;  // in a register
        if (distinct && seen_by[input] == u) continue;
        seen_by[input] = u;
        reads.values.push_back(input);
        if (maker != Excerpt::none) ++uses[excerpt.values[input].base];
      }
    }
    reads.close();
  }
}

}  // namespace rapt::internal
