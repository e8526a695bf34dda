#include "framework/plan/residuals.hpp"

#include <algorithm>

namespace rapt::internal {
namespace {

class Merger {
 public:
  Merger(const Excerpt& excerpt, Units& units)
      : excerpt_(excerpt), units_(units), uses_(excerpt.values.size(), 0) {
    for (const uint32_t target : excerpt.targets) ++uses_[excerpt.values[target].base];
    for (const uint32_t input : excerpt.inputs) ++uses_[excerpt.values[input].base];
    for (uint32_t n = 0; n < excerpt.nodes.size(); ++n) {
      if (excerpt.nodes[n].op->traits.mutates != 0) updates_.push_back(n);
    }
  }

  void run() {
    number_of_ = units_.unit_of;
    taken_.assign(units_.size(), false);
    bool any = false;
    std::vector<uint32_t> makers;
    for (uint32_t u = 0; u < units_.size(); ++u) {
      makers.clear();
      for (const uint32_t n : units_[u]) {
        const uint32_t maker = maker_of(n);
        if (maker == Excerpt::none) break;
        makers.push_back(maker);
      }
      if (makers.size() < units_[u].size()) continue;
      any = true;
      for (size_t i = 0; i < makers.size(); ++i) {
        number_of_[units_[u][i]] = number_of_[makers[i]];
        taken_[number_of_[makers[i]]] = true;
      }
    }
    if (any) units_.assign(number_of_, units_.size());
  }

 private:
  /// Returns the node that can compute the sum n, or none.
  uint32_t maker_of(uint32_t n) const {
    const Excerpt::Node& node = excerpt_.nodes[n];
    if (!node.op->traits.is_sum) return Excerpt::none;
    const auto inputs = excerpt_.inputs_of(node);
    if (!whole(inputs[0], node) || !whole(inputs[1], node)) return Excerpt::none;
    uint32_t best = Excerpt::none;
    for (const uint32_t part : inputs) {
      const uint32_t maker = excerpt_.values[part].node;
      const uint32_t unit = number_of_[maker];
      if (uses_[part] == 1 && adds(maker) && excerpt_.nodes[maker].outputs == 1 &&
          units_.unit_of[maker] == unit && units_[unit].size() == 1 && !taken_[unit] &&
          !updated_between(maker, n)) {
        best = best == Excerpt::none ? maker : std::max(best, maker);
      }
    }
    return best;
  }

  /// True if the value is a computed array with the same layout as the node's output.
  bool whole(uint32_t value, const Excerpt::Node& node) const {
    if (!excerpt_.values[value].whole) return false;
    const Value &v = excerpt_.recorded(value), &made = excerpt_.recorded(node.first_value);
    return v.dtype == made.dtype && v.shape == made.shape;
  }

  bool adds(uint32_t n) const {
    const Excerpt::Node& node = excerpt_.nodes[n];
    return node.op->cpu.fuses_residual != nullptr &&
           node.op->cpu.fuses_residual(excerpt_.words_of(node));
  }

  /// True if an update lies between two nodes, so that they see different values.
  bool updated_between(uint32_t first, uint32_t last) const {
    const auto update = std::upper_bound(updates_.begin(), updates_.end(), first);
    return update != updates_.end() && *update < last;
  }

  const Excerpt& excerpt_;
  Units& units_;
  std::vector<uint32_t> uses_;       // by base: the number of readers and of targets
  std::vector<uint32_t> number_of_;  // by node: its unit
  std::vector<bool> taken_;          // by unit: it already computes a sum
  std::vector<uint32_t> updates_;
};

}  // namespace

void merge_residuals(const Excerpt& excerpt, Units& units) { Merger(excerpt, units).run(); }

}  // namespace rapt::internal
