#include <algorithm>
#include <rapt/framework/fusion.hpp>
#include <rapt/framework/residuals.hpp>

namespace rapt {
namespace {

class Merger {
 public:
  Merger(const Graph& graph, std::span<const uint32_t> targets, const std::vector<bool>& known,
         std::vector<std::vector<uint32_t>>& units)
      : graph_(graph), known_(known), units_(units), uses_(graph.values.size(), 0) {
    for (const uint32_t target : targets) ++uses_[graph.values[target].base];
    unit_of_.assign(graph.nodes.size(), 0);
    for (size_t u = 0; u < units.size(); ++u) {
      for (const uint32_t n : units[u]) {
        unit_of_[n] = u;
        if (graph.nodes[n].op->mutates != 0) updates_.push_back(n);
        for (const uint32_t input : graph.inputs_of(graph.nodes[n])) {
          ++uses_[graph.values[input].base];
        }
      }
    }
  }

  void run() {
    std::vector<std::pair<uint32_t, uint32_t>> pairs;  // a sum and the node that makes it
    for (size_t u = 0, count = units_.size(); u < count; ++u) {
      pairs.clear();
      for (const uint32_t n : units_[u]) {
        const int64_t maker = maker_of(n);
        if (maker < 0) break;
        pairs.emplace_back(n, static_cast<uint32_t>(maker));
      }
      if (pairs.empty() || pairs.size() < units_[u].size()) continue;
      units_[u].clear();
      for (const auto& [sum, maker] : pairs) units_[unit_of_[maker]].push_back(sum);
    }
    std::erase_if(units_, [](const auto& unit) { return unit.empty(); });
  }

 private:
  /// The node that can make the sum n, or -1.
  int64_t maker_of(uint32_t n) const {
    const Node& node = graph_.nodes[n];
    if (!node.op->sum) return -1;
    const auto inputs = graph_.inputs_of(node);
    int64_t best = -1;
    for (int i = 0; i < 2; ++i) {
      const uint32_t part = inputs[static_cast<size_t>(i)];
      if (!whole(part, node) || !whole(inputs[static_cast<size_t>(1 - i)], node)) return -1;
      const uint32_t maker = graph_.values[part].node;
      if (uses_[part] == 1 && adds(maker) && graph_.nodes[maker].outputs == 1 &&
          units_[unit_of_[maker]].size() == 1 && !updated_between(maker, n)) {
        best = std::max(best, static_cast<int64_t>(maker));
      }
    }
    return best;
  }

  /// Whether the value is computed, and an array laid out as what the node makes.
  bool whole(uint32_t value, const Node& node) const {
    const Value &v = graph_.values[value], &made = graph_.values[node.first_value];
    return computed(graph_, known_, value) && v.base == value && v.layout == 0 &&
           v.dtype == made.dtype && v.shape == made.shape;
  }

  bool adds(uint32_t n) const {
    const Node& node = graph_.nodes[n];
    return node.op->adds != nullptr && node.op->adds(graph_.words_of(node));
  }

  /// What was recorded before an update sees other values than what comes after it.
  bool updated_between(uint32_t first, uint32_t last) const {
    return std::any_of(updates_.begin(), updates_.end(),
                       [&](uint32_t n) { return first < n && n < last; });
  }

  const Graph& graph_;
  const std::vector<bool>& known_;
  std::vector<std::vector<uint32_t>>& units_;
  std::vector<int> uses_;  // of each base, wanted or read
  std::vector<size_t> unit_of_;
  std::vector<uint32_t> updates_;
};

}  // namespace

void merge_residuals(const Graph& graph, std::span<const uint32_t> targets,
                     const std::vector<bool>& known, std::vector<std::vector<uint32_t>>& units) {
  Merger(graph, targets, known, units).run();
}

}  // namespace rapt
