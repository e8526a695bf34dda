#include <algorithm>
#include <rapt/framework/fusion.hpp>

namespace rapt {
namespace {

constexpr size_t most_members = 256;
constexpr size_t most_operands = 32;
/// How far the search for a cycle looks before it gives up and leaves a node alone.
constexpr int most_visited = 512;

class Fuser {
 public:
  Fuser(const Graph& graph, const std::vector<bool>& needed, const std::vector<bool>& known)
      : graph_(graph),
        needed_(needed),
        known_(known),
        group_of_(graph.nodes.size(), -1),
        visited_(graph.nodes.size(), 0) {}

  std::vector<std::vector<uint32_t>> units() {
    for (uint32_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!needed_[n]) continue;
      group_of_[n] = static_cast<int>(groups_.size());
      groups_.push_back({n});
      highest_.push_back(n);
      if (graph_.nodes[n].op->mutates != 0) updates_.push_back(n);
      if (graph_.nodes[n].op->pointwise != nullptr) join(n);
    }
    std::vector<std::vector<uint32_t>> result;
    for (auto& group : groups_) {
      if (group.empty()) continue;
      std::sort(group.begin(), group.end());
      result.push_back(std::move(group));
    }
    return result;
  }

 private:
  /// Merges the new node's group with those of its operands, one after the other.
  void join(uint32_t n) {
    for (const uint32_t input : graph_.inputs_of(graph_.nodes[n])) {
      if (!computed(graph_, known_, input)) continue;
      const Value& v = graph_.values[input];
      if (v.base != input || v.layout != 0) continue;
      const uint32_t maker = v.node;
      if (group_of_[maker] == group_of_[n] || !alike(maker, n)) continue;
      if (mergeable(group_of_[maker], group_of_[n])) merge(group_of_[maker], group_of_[n]);
    }
  }

  bool alike(uint32_t a, uint32_t b) const {
    const Node& x = graph_.nodes[a];
    const Node& y = graph_.nodes[b];
    return x.op->pointwise == y.op->pointwise && is_wide(graph_, x) == is_wide(graph_, y) &&
           graph_.values[x.first_value].shape == graph_.values[y.first_value].shape;
  }

  void merge(int into, int from) {
    auto& target = groups_[static_cast<size_t>(into)];
    for (const uint32_t n : groups_[static_cast<size_t>(from)]) {
      group_of_[n] = into;
      target.push_back(n);
    }
    groups_[static_cast<size_t>(from)].clear();
    uint32_t& highest = highest_[static_cast<size_t>(into)];
    highest = std::max(highest, highest_[static_cast<size_t>(from)]);
  }

  /// Whether the two groups can be one step: small enough, and no path leaves them and comes back.
  bool mergeable(int a, int b) {
    const auto& first = groups_[static_cast<size_t>(a)];
    const auto& second = groups_[static_cast<size_t>(b)];
    if (first.size() + second.size() > most_members) return false;
    // What was recorded before an update and what was after see different values.
    const uint32_t highest =
        std::max(highest_[static_cast<size_t>(a)], highest_[static_cast<size_t>(b)]);
    const uint32_t lowest = std::min(*std::min_element(first.begin(), first.end()),
                                     *std::min_element(second.begin(), second.end()));
    for (const uint32_t update : updates_) {
      if (lowest < update && update < highest) return false;
    }
    ++round_;
    int budget = most_visited;
    std::vector<uint32_t> operands;  // distinct values that come from outside
    std::vector<uint32_t> stack;
    const auto inside = [&](uint32_t n) { return group_of_[n] == a || group_of_[n] == b; };
    const auto push_inputs_of = [&](uint32_t n, bool member) {
      for (const uint32_t input : graph_.inputs_of(graph_.nodes[n])) {
        const Value& v = graph_.values[input];
        const uint32_t maker = graph_.values[v.base].node;
        const bool is_computed = computed(graph_, known_, input);
        if (member && !(is_computed && inside(maker)) &&
            std::find(operands.begin(), operands.end(), input) == operands.end()) {
          operands.push_back(input);
        }
        if (!is_computed) continue;
        if (inside(maker)) {
          // Inside the group a member's value is passed on in a register; a view of it, or a path
          // through others, would have to come back from memory.
          if (!member || v.base != input || v.layout != 0) return false;
          continue;
        }
        // What ended before our first node began cannot lead back to us.
        const uint32_t latest = highest_[static_cast<size_t>(group_of_[maker])];
        if (latest > lowest && visited_[maker] != round_) stack.push_back(maker);
      }
      return true;
    };
    for (const auto* group : {&first, &second}) {
      for (const uint32_t n : *group) {
        if (!push_inputs_of(n, true)) return false;
      }
    }
    if (operands.size() > most_operands) return false;
    while (!stack.empty()) {
      const uint32_t n = stack.back();
      stack.pop_back();
      if (visited_[n] == round_) continue;
      // A group is one step: reaching one member reaches all of them.
      for (const uint32_t member : groups_[static_cast<size_t>(group_of_[n])]) {
        visited_[member] = round_;
        if (--budget < 0 || !push_inputs_of(member, false)) return false;
      }
    }
    return true;
  }

  const Graph& graph_;
  const std::vector<bool>& needed_;
  const std::vector<bool>& known_;
  std::vector<int> group_of_;
  std::vector<std::vector<uint32_t>> groups_;
  std::vector<uint32_t> highest_;  // the last node of each group
  std::vector<uint32_t> updates_;  // nodes that write to leaves
  std::vector<uint32_t> visited_;
  uint32_t round_ = 0;
};

}  // namespace

bool is_wide(const Graph& graph, const Node& node) {
  const auto wide = [&](uint32_t id) {
    const Value& v = graph.values[id];
    return v.dtype == DType::float64 || v.dtype == DType::int32;
  };
  const auto inputs = graph.inputs_of(node);
  // The second operand of dropout is its key, not a number to compute with.
  const bool keyed = inputs.size() == 2 && graph.values[inputs[1]].dtype == DType::int32 &&
                     is_float(graph.values[inputs[0]].dtype);
  return wide(node.first_value) || wide(inputs[0]) ||
         (!keyed && std::any_of(inputs.begin() + 1, inputs.end(), wide));
}

std::vector<std::vector<uint32_t>> fuse(const Graph& graph, const std::vector<bool>& needed,
                                        const std::vector<bool>& known) {
  return Fuser(graph, needed, known).units();
}

std::vector<std::vector<uint32_t>> single_units(const Graph& graph,
                                                const std::vector<bool>& needed) {
  std::vector<std::vector<uint32_t>> units;
  for (uint32_t n = 0; n < graph.nodes.size(); ++n) {
    if (needed[n]) units.push_back({n});
  }
  return units;
}

}  // namespace rapt
