#include "framework/plan/fusion.hpp"

#include <algorithm>

namespace rapt::internal {
namespace {

constexpr uint32_t most_members = 256;
constexpr size_t most_operands = 32;
/// Maximum number of groups that the search for a cycle visits. If it is exceeded, the node is left
/// alone.
constexpr size_t most_visited = 512;

/// A subset of the paths between nodes, which can be queried in constant time. Each node has one
/// parent: the maker of the operand that is deepest in the graph. The paths thus form a forest. It
/// is numbered so that a node and its descendants are a range.
class Paths {
 public:
  explicit Paths(const Excerpt& excerpt) {
    const size_t n = excerpt.nodes.size();
    std::vector<uint32_t> depth(n, 0), parent(n, Excerpt::none);
    for (uint32_t i = 0; i < n; ++i) {
      for (const uint32_t input : excerpt.inputs_of(excerpt.nodes[i])) {
        const uint32_t maker = excerpt.values[input].node;
        if (maker == Excerpt::none || depth[maker] < depth[i]) continue;
        depth[i] = depth[maker] + 1;
        parent[i] = maker;
      }
    }
    begin_.resize(n);
    size_.assign(n, 1);
    for (size_t i = n; i-- > 0;) {
      if (parent[i] != Excerpt::none) size_[parent[i]] += size_[i];
    }
    std::vector<uint32_t> next(n);
    uint32_t next_root = 0;
    for (size_t i = 0; i < n; ++i) {
      uint32_t& place = parent[i] == Excerpt::none ? next_root : next[parent[i]];
      begin_[i] = place;
      place += size_[i];
      next[i] = begin_[i] + 1;
    }
  }

  /// True if the forest has a path from one node to the other. If it has none, the graph may still
  /// have one.
  bool leads(uint32_t from, uint32_t to) const { return begin_[to] - begin_[from] < size_[from]; }

 private:
  std::vector<uint32_t> begin_, size_;
};

/// The groups in topological order. Groups can be moved. Each has a label that increases along the
/// list, so that two groups are compared in constant time.
class GroupOrder {
 public:
  explicit GroupOrder(size_t groups) {
    labels_.reserve(groups);
    links_.reserve(groups);
  }

  bool before(uint32_t a, uint32_t b) const { return labels_[a] < labels_[b]; }

  /// Appends the next group. Groups are numbered 0, 1, ...
  void append() {
    const auto group = static_cast<uint32_t>(labels_.size());
    labels_.push_back(last_ == none ? gap : labels_[last_] + gap);
    links_.push_back({last_, none});
    if (last_ != none) links_[last_].next = group;
    last_ = group;
  }

  void remove(uint32_t group) {
    const Link link = links_[group];
    if (link.previous != none) links_[link.previous].next = link.next;
    (link.next == none ? last_ : links_[link.next].previous) = link.previous;
  }

  /// Moves a group directly before another one.
  void move_before(uint32_t group, uint32_t other) {
    remove(group);
    const uint32_t previous = links_[other].previous;
    links_[group] = {previous, other};
    links_[other].previous = group;
    if (previous != none) links_[previous].next = group;
    const uint64_t from = previous == none ? 0 : labels_[previous];
    const uint64_t room = labels_[other] - from;
    // Places the label near the predecessor's. More groups will be moved between this group and
    // `other`.
    labels_[group] = from + std::max<uint64_t>(1, room / 1024);
    if (room < 2) number();
  }

 private:
  static constexpr uint32_t none = ~0u;
  static constexpr uint64_t gap = uint64_t{1} << 32;

  /// Assigns new, widely spaced labels to all groups.
  void number() {
    uint64_t label = 0;
    uint32_t first = last_;
    while (links_[first].previous != none) first = links_[first].previous;
    for (uint32_t g = first; g != none; g = links_[g].next) labels_[g] = label += gap;
  }

  struct Link {
    uint32_t previous, next;
  };
  std::vector<uint64_t> labels_;
  std::vector<Link> links_;
  uint32_t last_ = none;
};

class Fuser {
 public:
  explicit Fuser(const Excerpt& excerpt)
      : excerpt_(excerpt),
        paths_(excerpt),
        order_(excerpt.nodes.size()),
        visited_(excerpt.nodes.size(), 0) {
    groups_.reserve(excerpt.nodes.size());
  }

  std::vector<uint32_t> groups() {
    const auto count = static_cast<uint32_t>(excerpt_.nodes.size());
    for (uint32_t n = 0; n < count; ++n) {
      const Excerpt::Node& node = excerpt_.nodes[n];
      groups_.push_back({.parent = n, .lowest = n, .highest = n, .first_operand = 0});
      order_.append();
      add_operands(n);
      if (node.op->traits.mutates != 0) updates_.push_back(n);
      if (node.op->cpu.pointwise != nullptr) join(n);
    }
    std::vector<uint32_t> numbers(count);
    for (uint32_t n = 0; n < count; ++n) numbers[n] = find(n);
    return numbers;
  }

 private:
  /// The data of a group. They are valid at the one node that represents the group.
  struct Group {
    uint32_t parent;  // another node of the group; the node itself if it represents the group
    uint32_t lowest, highest;
    uint32_t members = 1;
    uint32_t first_operand;  // in operands_: the distinct values from outside the group
    uint32_t operands = 0;
  };

  uint32_t find(uint32_t n) {
    while (groups_[n].parent != n) {
      groups_[n].parent = groups_[groups_[n].parent].parent;
      n = groups_[n].parent;
    }
    return n;
  }

  std::span<const uint32_t> operands_of(const Group& group) const {
    return {operands_.data() + group.first_operand, group.operands};
  }

  void add_operands(uint32_t n) {
    Group& group = groups_[n];
    group.first_operand = static_cast<uint32_t>(operands_.size());
    const auto inputs = excerpt_.inputs_of(excerpt_.nodes[n]);
    const bool distinct = excerpt_.nodes[n].op->cpu.pointwise != nullptr;
    for (const uint32_t input : inputs) {
      const auto first = operands_.begin() + group.first_operand;
      if (distinct && std::find(first, operands_.end(), input) != operands_.end()) continue;
      operands_.push_back(input);
    }
    group.operands = static_cast<uint32_t>(operands_.size()) - group.first_operand;
  }

  /// Merges the new node's group with those of its operands, one after the other.
  void join(uint32_t n) {
    for (const uint32_t input : excerpt_.inputs_of(excerpt_.nodes[n])) {
      const Excerpt::Value& v = excerpt_.values[input];
      if (!v.whole || excerpt_.nodes[v.node].op->cpu.pointwise == nullptr) continue;
      const uint32_t a = find(v.node), b = find(n);
      if (a == b || !alike(v.node, n)) continue;
      // The operand's group precedes this one. They can be merged if no path between them passes
      // through another group.
      if (mergeable(a, b, v.node)) merge(a, b);
    }
  }

  bool alike(uint32_t a, uint32_t b) const {
    const Excerpt::Node &x = excerpt_.nodes[a], &y = excerpt_.nodes[b];
    const Graph& graph = *excerpt_.graph;
    return x.op->cpu.pointwise == y.op->cpu.pointwise &&
           excerpt_.recorded(x.first_value).shape == excerpt_.recorded(y.first_value).shape &&
           is_wide(graph, excerpt_.recorded(x)) == is_wide(graph, excerpt_.recorded(y));
  }

  /// Merges the group `from` into `into`, which precedes it in the order. mergeable() has stored
  /// the operands of both in merged_. It has stored the groups between them that `from` needs in
  /// between_. These move before `into`: they do not depend on it, and their other dependencies
  /// already precede it.
  void merge(uint32_t into, uint32_t from) {
    Group &a = groups_[into], &b = groups_[from];
    b.parent = into;
    a.members += b.members;
    a.lowest = std::min(a.lowest, b.lowest);
    a.highest = std::max(a.highest, b.highest);
    a.first_operand = static_cast<uint32_t>(operands_.size());
    a.operands = static_cast<uint32_t>(merged_.size());
    operands_.insert(operands_.end(), merged_.begin(), merged_.end());
    const auto in_order = [&](uint32_t x, uint32_t y) { return order_.before(x, y); };
    std::sort(between_.begin(), between_.end(), in_order);
    for (const uint32_t group : between_) order_.move_before(group, into);
    order_.remove(from);
  }

  /// True if the two groups can become one step: they are small enough, and no path leaves them and
  /// returns. `maker` is the node of `a` that feeds `b`.
  bool mergeable(uint32_t a, uint32_t b, uint32_t maker) {
    const Group &first = groups_[a], &second = groups_[b];
    if (first.members + second.members > most_members) return false;
    const uint32_t lowest = std::min(first.lowest, second.lowest);
    // Nodes recorded before an update and nodes recorded after it see different values.
    const auto update = std::upper_bound(updates_.begin(), updates_.end(), lowest);
    if (update != updates_.end() && *update < std::max(first.highest, second.highest)) return false;

    merged_.clear();
    for (const Group* group : {&first, &second}) {
      for (const uint32_t operand : operands_of(*group)) {
        const Excerpt::Value& v = excerpt_.values[operand];
        const uint32_t g = v.node == Excerpt::none ? v.node : find(v.node);
        if (v.node != Excerpt::none && (g == a || g == b)) {
          // Inside a group, values are passed in registers. A view would need the value in memory.
          if (!v.whole) return false;
          continue;
        }
        if (std::find(merged_.begin(), merged_.end(), operand) != merged_.end()) continue;
        if (merged_.size() == most_operands) return false;
        merged_.push_back(operand);
      }
    }
    return !comes_back(a, b, maker);
  }

  /// True if a path leads from group `a` through other groups to `b`. All groups on such a path lie
  /// between the two in the order. If there is none, between_ holds the groups between them that
  /// `b` needs.
  bool comes_back(uint32_t a, uint32_t b, uint32_t maker) {
    between_.clear();
    ++round_;
    const auto visit = [&](uint32_t node) {
      const uint32_t group = find(node);
      if (group == b || visited_[group] == round_ || order_.before(group, a)) return;
      visited_[group] = round_;
      between_.push_back(group);
    };
    for (const uint32_t operand : operands_of(groups_[b])) {
      const uint32_t node = excerpt_.values[operand].node;
      if (node == Excerpt::none || find(node) == a) continue;
      // Finds most paths quickly: those from the forward pass through the loss and back.
      if (paths_.leads(maker, node) || paths_.leads(groups_[a].highest, node)) return true;
      visit(node);
    }
    for (size_t i = 0; i < between_.size(); ++i) {
      if (between_.size() > most_visited) return true;
      // A group is one step, so a reader of one member depends on the operands of all members.
      for (const uint32_t operand : operands_of(groups_[between_[i]])) {
        const uint32_t node = excerpt_.values[operand].node;
        if (node == Excerpt::none) continue;
        if (find(node) == a) return true;
        visit(node);
      }
    }
    return false;
  }

  const Excerpt& excerpt_;
  const Paths paths_;
  GroupOrder order_;
  std::vector<Group> groups_;       // by node
  std::vector<uint32_t> operands_;  // of groups, including groups that were merged
  std::vector<uint32_t> updates_;   // nodes that write to leaves
  std::vector<uint32_t> visited_;   // by group
  std::vector<uint32_t> merged_, between_;
  uint32_t round_ = 0;
};

}  // namespace

bool is_wide(const Graph& graph, const Node& node) {
  const auto wide = [&](uint32_t id) {
    const Value& v = graph.values[id];
    return v.dtype == DType::float64 || v.dtype == DType::int32;
  };
  if (wide(node.first_value)) return true;
  const auto inputs = graph.inputs_of(node);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool key = i < 32 && (node.op->traits.keys >> i & 1) != 0;
    if (!key && wide(inputs[i])) return true;
  }
  return false;
}

std::vector<uint32_t> fuse(const Excerpt& excerpt) { return Fuser(excerpt).groups(); }

}  // namespace rapt::internal
