#include "framework/plan/residuals.hpp"

#include <algorithm>

namespace rapt::internal {
namespace {

class Merger {
 public:
  Merger(const Excerpt& excerpt, Units& units)
      : excerpt_(excerpt), units_(units), uses_(excerpt.values.size(), 0) {
    for (const PlanValue target : excerpt.targets) ++uses_[excerpt.values[target].base];
    for (const PlanValue input : excerpt.inputs) ++uses_[excerpt.values[input].base];
    for (const PlanNode n : excerpt.nodes.ids()) {
      if (excerpt.nodes[n].op->traits.mutates != 0) updates_.push_back(n);
    }
  }

  void run() {
    unit_of_ = units_.unit_of;
    taken_.assign(units_.size(), false);
    bool any = false;
    std::vector<PlanNode> makers;
    for (const UnitId u : units_.ids()) {
      makers.clear();
      for (const PlanNode n : units_[u]) {
        const PlanNode maker = maker_of(n);
        if (maker == PlanNode::none) break;
        makers.push_back(maker);
      }
      if (makers.size() < units_[u].size()) continue;
      any = true;
      for (size_t i = 0; i < makers.size(); ++i) {
        unit_of_[units_[u][i]] = unit_of_[makers[i]];
        taken_[unit_of_[makers[i]]] = true;
      }
    }
    if (!any) return;
    IdVector<PlanNode, PlanNode> representative(unit_of_.size());
    for (const PlanNode n : unit_of_.ids()) representative[n] = units_[unit_of_[n]].front();
    units_.assign(representative);
  }

 private:
  /// Returns the node that can compute the sum n, or none.
  PlanNode maker_of(PlanNode n) const {
    const Excerpt::Node& node = excerpt_.nodes[n];
    if (!node.op->traits.is_sum) return PlanNode::none;
    const auto inputs = excerpt_.inputs_of(node);
    if (!whole(inputs[0], node) || !whole(inputs[1], node)) return PlanNode::none;
    PlanNode best = PlanNode::none;
    for (const PlanValue part : inputs) {
      const PlanNode maker = excerpt_.values[part].node;
      const UnitId unit = unit_of_[maker];
      if (uses_[part] == 1 && adds(maker) && excerpt_.nodes[maker].outputs == 1 &&
          units_.unit_of[maker] == unit && units_[unit].size() == 1 && !taken_[unit] &&
          !updated_between(maker, n)) {
        best = best == PlanNode::none ? maker : std::max(best, maker);
      }
    }
    return best;
  }

  /// True if the value is a computed array with the same layout as the node's output.
  bool whole(PlanValue value, const Excerpt::Node& node) const {
    if (!excerpt_.values[value].whole) return false;
    const Value &v = excerpt_.recorded(value), &made = excerpt_.recorded(node.first_value);
    return v.dtype == made.dtype && v.shape == made.shape;
  }

  bool adds(PlanNode n) const {
    const Excerpt::Node& node = excerpt_.nodes[n];
    return node.op->cpu.fuses_residual != nullptr &&
           node.op->cpu.fuses_residual(excerpt_.words_of(node));
  }

  /// True if an update lies between two nodes, so that they see different values.
  bool updated_between(PlanNode first, PlanNode last) const {
    const auto update = std::upper_bound(updates_.begin(), updates_.end(), first);
    return update != updates_.end() && *update < last;
  }

  const Excerpt& excerpt_;
  Units& units_;
  IdVector<PlanValue, uint32_t> uses_;  // by base: the number of readers and of targets
  IdVector<PlanNode, UnitId> unit_of_;  // as the sums move
  IdVector<UnitId, bool> taken_;        // true if it already computes a sum
  std::vector<PlanNode> updates_;
};

}  // namespace

void merge_residuals(const Excerpt& excerpt, Units& units) { Merger(excerpt, units).run(); }

}  // namespace rapt::internal
