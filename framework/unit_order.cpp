#include <algorithm>
#include <rapt/framework/fusion.hpp>
#include <rapt/framework/unit_order.hpp>

namespace rapt {
namespace {

class Orderer {
 public:
  Orderer(const Graph& graph, const std::vector<bool>& known,
          const std::vector<std::vector<uint32_t>>& units, const std::vector<int>& unit_of)
      : graph_(graph), known_(known), units_(units), unit_of_(unit_of) {}

  UnitOrder make() {
    for (const auto& unit : units_) {
      for (const uint32_t n : unit) {
        const Node& node = graph_.nodes[n];
        for (int i = 0; i < node.inputs; ++i) {
          if ((node.op->mutates >> i & 1) != 0) updates_.emplace_back(base_of(node, i), n);
        }
      }
    }
    before_.resize(units_.size());
    if (!updates_.empty()) order_updates();

    state_.assign(units_.size(), 0);
    std::vector<uint32_t> by_last(units_.size());
    for (uint32_t u = 0; u < by_last.size(); ++u) by_last[u] = u;
    std::sort(by_last.begin(), by_last.end(), [&](uint32_t a, uint32_t b) {
      const bool late_a = is_update(a), late_b = is_update(b);
      if (late_a != late_b) return late_b;
      return units_[a].back() < units_[b].back();
    });
    for (const uint32_t unit : by_last) emit(unit);
    return {std::move(order_), std::move(before_)};
  }

 private:
  bool is_update(uint32_t unit) const {
    return graph_.nodes[units_[unit].front()].op->mutates != 0;
  }

  uint32_t base_of(const Node& node, int input) const {
    return graph_.values[graph_.inputs[node.first_input + static_cast<uint32_t>(input)]].base;
  }

  void order_updates() {
    for (size_t u = 0; u < units_.size(); ++u) {
      for (const uint32_t n : units_[u]) {
        const Node& node = graph_.nodes[n];
        for (int i = 0; i < node.inputs; ++i) {
          const uint32_t base = base_of(node, i);
          for (const auto& [leaf, updater] : updates_) {
            if (leaf != base || updater == n) continue;
            const auto update_unit = static_cast<uint32_t>(unit_of_[updater]);
            if (n < updater) {
              before_[update_unit].push_back(static_cast<uint32_t>(u));
            } else {
              before_[u].push_back(update_unit);
            }
          }
        }
      }
    }
  }

  /// Puts everything that the unit needs into the order, then the unit. With a stack of its own:
  /// a chain may be as long as the tape.
  void emit(uint32_t root) {
    std::vector<uint32_t> stack{root};
    while (!stack.empty()) {
      const uint32_t unit = stack.back();
      if (state_[unit] == 2) {
        stack.pop_back();
        continue;
      }
      const size_t height = stack.size();
      if (state_[unit] == 0) {
        state_[unit] = 1;
        for (const uint32_t n : units_[unit]) {
          for (const uint32_t input : graph_.inputs_of(graph_.nodes[n])) {
            if (!computed(graph_, known_, input)) continue;
            const auto producer =
                static_cast<uint32_t>(unit_of_[graph_.values[graph_.values[input].base].node]);
            if (producer != unit && state_[producer] == 0) stack.push_back(producer);
          }
        }
        for (const uint32_t other : before_[unit]) {
          if (state_[other] == 0) stack.push_back(other);
        }
      }
      if (stack.size() == height) {
        state_[unit] = 2;
        order_.push_back(unit);
        stack.pop_back();
      }
    }
  }

  const Graph& graph_;
  const std::vector<bool>& known_;
  const std::vector<std::vector<uint32_t>>& units_;
  const std::vector<int>& unit_of_;
  std::vector<std::pair<uint32_t, uint32_t>> updates_;  // leaf value, updating node
  std::vector<std::vector<uint32_t>> before_;
  std::vector<uint8_t> state_;
  std::vector<uint32_t> order_;
};

}  // namespace

UnitOrder order_units(const Graph& graph, const std::vector<bool>& known,
                      const std::vector<std::vector<uint32_t>>& units,
                      const std::vector<int>& unit_of) {
  return Orderer(graph, known, units, unit_of).make();
}

}  // namespace rapt
