#include "framework/plan/unit_order.hpp"

#include <algorithm>

#include "framework/core/error.hpp"

namespace rapt::internal {
namespace {

class Orderer {
 public:
  Orderer(const Excerpt& excerpt, const Units& units) : excerpt_(excerpt), units_(units) {}

  UnitOrder make() {
    if (excerpt_.updates) order_updates();
    state_.assign(units_.size(), State::unseen);
    order_.units.reserve(units_.size());
    // Orders units by their last node, and puts updates at the end.
    for (const bool updates : {false, true}) {
      for (const PlanNode n : excerpt_.nodes.ids()) {
        const UnitId unit = units_.unit_of[n];
        if (units_[unit].back() == n && is_update(unit) == updates) emit(unit);
      }
    }
    return std::move(order_);
  }

 private:
  enum class State : uint8_t { unseen, open, done };

  bool is_update(UnitId unit) const {
    return excerpt_.nodes[units_[unit].front()].op->traits.mutates != 0;
  }

  /// Orders updates. An update runs after the units that were recorded before it and read its leaf,
  /// and before those that were recorded after it. Each waits for its nearest neighbours only, and
  /// through them for the others.
  void order_updates() {
    struct Leaf {
      bool updated = false;
      UnitId update = UnitId::none;  // the latest unit that writes to it
      std::vector<UnitId> readers;   // units since then
    };
    IdVector<PlanValue, Leaf> leaves(excerpt_.values.size());
    for (const Excerpt::Node& node : excerpt_.nodes) {
      for (uint32_t i = 0; i < node.inputs; ++i) {
        if (writes(node, i)) leaves[base_of(node, i)].updated = true;
      }
    }
    const auto after = [&](UnitId unit, UnitId earlier) {
      if (earlier != UnitId::none && earlier != unit) order_.before.emplace_back(unit, earlier);
    };
    for (const PlanNode n : excerpt_.nodes.ids()) {
      const Excerpt::Node& node = excerpt_.nodes[n];
      const UnitId unit = units_.unit_of[n];
      for (uint32_t i = 0; i < node.inputs; ++i) {
        Leaf& leaf = leaves[base_of(node, i)];
        if (!leaf.updated) continue;
        after(unit, leaf.update);
        if (!writes(node, i)) {
          leaf.readers.push_back(unit);
          continue;
        }
        for (const UnitId reader : leaf.readers) after(unit, reader);
        leaf.readers.clear();
        leaf.update = unit;
      }
    }
    std::sort(order_.before.begin(), order_.before.end());
    order_.before.erase(std::unique(order_.before.begin(), order_.before.end()),
                        order_.before.end());
  }

  static bool writes(const Excerpt::Node& node, uint32_t input) {
    return input < 32 && (node.op->traits.mutates >> input & 1) != 0;
  }

  PlanValue base_of(const Excerpt::Node& node, uint32_t input) const {
    return excerpt_.values[excerpt_.inputs[node.first_input + input]].base;
  }

  /// Emits everything that the unit needs, then the unit. Uses an explicit stack, because a chain
  /// may be as long as the tape.
  void emit(UnitId root) {
    stack_.assign(1, root);
    while (!stack_.empty()) {
      const UnitId unit = stack_.back();
      if (state_[unit] == State::done) {
        stack_.pop_back();
        continue;
      }
      const size_t height = stack_.size();
      if (state_[unit] == State::unseen) {
        state_[unit] = State::open;
        for (const PlanNode n : units_[unit]) {
          for (const PlanValue input : excerpt_.inputs_of(excerpt_.nodes[n])) {
            const PlanNode maker = excerpt_.values[input].node;
            if (maker == PlanNode::none) continue;
            if (const UnitId other = units_.unit_of[maker]; other != unit) ask(other);
          }
        }
        for (const auto& [later, earlier] : order_.before_of(unit)) ask(earlier);
      }
      if (stack_.size() == height) {
        state_[unit] = State::done;
        order_.units.push_back(unit);
        stack_.pop_back();
      }
    }
  }

  void ask(UnitId unit) {
    // Open units wait for the unit that is requested now.
    if (state_[unit] == State::open) {
      throw Error({.op = "plan", .detail = "two steps need each other"});
    }
    if (state_[unit] == State::unseen) stack_.push_back(unit);
  }

  const Excerpt& excerpt_;
  const Units& units_;
  UnitOrder order_;
  IdVector<UnitId, State> state_;
  std::vector<UnitId> stack_;
};

}  // namespace

std::span<const std::pair<UnitId, UnitId>> UnitOrder::before_of(UnitId unit) const {
  const auto by_unit = [](const auto& pair, UnitId u) { return pair.first < u; };
  const auto from = std::lower_bound(before.begin(), before.end(), unit, by_unit);
  const auto to = std::lower_bound(from, before.end(), unit + 1, by_unit);
  return {from, to};
}

UnitOrder order_units(const Excerpt& excerpt, const Units& units) {
  return Orderer(excerpt, units).make();
}

}  // namespace rapt::internal
