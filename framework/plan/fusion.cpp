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
    IdVector<PlanNode, uint32_t> depth(n, 0);
    IdVector<PlanNode, PlanNode> parent(n, PlanNode::none);
    for (const PlanNode i : excerpt.nodes.ids()) {
      for (const PlanValue input : excerpt.inputs_of(excerpt.nodes[i])) {
        const PlanNode maker = excerpt.values[input].node;
        if (maker == PlanNode::none || depth[maker] < depth[i]) continue;
        depth[i] = depth[maker] + 1;
        parent[i] = maker;
      }
    }
    begin_.resize(n);
    size_.assign(n, 1);
    for (PlanNode i = excerpt.nodes.next(); i > PlanNode{};) {
      --i;
      if (parent[i] != PlanNode::none) size_[parent[i]] += size_[i];
    }
    IdVector<PlanNode, uint32_t> next(n);
    uint32_t next_root = 0;
    for (const PlanNode i : excerpt.nodes.ids()) {
      uint32_t& place = parent[i] == PlanNode::none ? next_root : next[parent[i]];
      begin_[i] = place;
      place += size_[i];
      next[i] = begin_[i] + 1;
    }
  }

  /// True if the forest has a path from one node to the other. If it has none, the graph may still
  /// have one.
  bool leads(PlanNode from, PlanNode to) const { return begin_[to] - begin_[from] < size_[from]; }

 private:
  IdVector<PlanNode, uint32_t> begin_, size_;
};

/// The groups in topological order. A group has the number of its representative. Groups can be
/// moved. Each has a label that increases along the
/// list, so that two groups are compared in constant time.
class GroupOrder {
 public:
  explicit GroupOrder(size_t groups) {
    labels_.reserve(groups);
    links_.reserve(groups);
  }

  bool before(PlanNode a, PlanNode b) const { return labels_[a] < labels_[b]; }

  /// Appends the group of the next node.
  void append() {
    const PlanNode group = labels_.next();
    labels_.push_back(last_ == none ? gap : labels_[last_] + gap);
    links_.push_back({last_, none});
    if (last_ != none) links_[last_].next = group;
    last_ = group;
  }

  void remove(PlanNode group) {
    const Link link = links_[group];
    if (link.previous != none) links_[link.previous].next = link.next;
    (link.next == none ? last_ : links_[link.next].previous) = link.previous;
  }

  /// Moves a group directly before another one.
  void move_before(PlanNode group, PlanNode other) {
    remove(group);
    const PlanNode previous = links_[other].previous;
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
  static constexpr PlanNode none = PlanNode::none;
  static constexpr uint64_t gap = uint64_t{1} << 32;

  /// Assigns new, widely spaced labels to all groups.
  void number() {
    uint64_t label = 0;
    PlanNode first = last_;
    while (links_[first].previous != none) first = links_[first].previous;
    for (PlanNode g = first; g != none; g = links_[g].next) labels_[g] = label += gap;
  }

  struct Link {
    PlanNode previous, next;
  };
  IdVector<PlanNode, uint64_t> labels_;
  IdVector<PlanNode, Link> links_;
  PlanNode last_ = none;
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

  IdVector<PlanNode, PlanNode> representatives() {
    for (const PlanNode n : excerpt_.nodes.ids()) {
      const Excerpt::Node& node = excerpt_.nodes[n];
      groups_.push_back({.parent = n, .lowest = n, .highest = n, .first_operand = 0});
      order_.append();
      add_operands(n);
      if (node.op->traits.mutates != 0) updates_.push_back(n);
      if (node.op->cpu.pointwise != nullptr) join(n);
    }
    IdVector<PlanNode, PlanNode> found(excerpt_.nodes.size());
    for (const PlanNode n : found.ids()) found[n] = find(n);
    return found;
  }

 private:
  /// The data of a group. They are valid at the one node that represents the group.
  struct Group {
    PlanNode parent;  // another node of the group; the node itself if it represents the group
    PlanNode lowest, highest;
    uint32_t members = 1;
    uint32_t first_operand;  // in operands_: the distinct values from outside the group
    uint32_t operands = 0;
  };

  PlanNode find(PlanNode n) {
    while (groups_[n].parent != n) {
      groups_[n].parent = groups_[groups_[n].parent].parent;
      n = groups_[n].parent;
    }
    return n;
  }

  std::span<const PlanValue> operands_of(const Group& group) const {
    return {operands_.data() + group.first_operand, group.operands};
  }

  void add_operands(PlanNode n) {
    Group& group = groups_[n];
    group.first_operand = static_cast<uint32_t>(operands_.size());
    const auto inputs = excerpt_.inputs_of(excerpt_.nodes[n]);
    const bool distinct = excerpt_.nodes[n].op->cpu.pointwise != nullptr;
    for (const PlanValue input : inputs) {
      const auto first = operands_.begin() + group.first_operand;
      if (distinct && std::find(first, operands_.end(), input) != operands_.end()) continue;
      operands_.push_back(input);
    }
    group.operands = static_cast<uint32_t>(operands_.size()) - group.first_operand;
  }

  /// Merges the new node's group with those of its operands, one after the other.
  void join(PlanNode n) {
    for (const PlanValue input : excerpt_.inputs_of(excerpt_.nodes[n])) {
      const Excerpt::Value& v = excerpt_.values[input];
      if (!v.whole || excerpt_.nodes[v.node].op->cpu.pointwise == nullptr) continue;
      const PlanNode a = find(v.node), b = find(n);
      if (a == b || !alike(v.node, n)) continue;
      // The operand's group precedes this one. They can be merged if no path between them passes
      // through another group.
      if (mergeable(a, b, v.node)) merge(a, b);
    }
  }

  bool alike(PlanNode a, PlanNode b) const {
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
  void merge(PlanNode into, PlanNode from) {
    Group &a = groups_[into], &b = groups_[from];
    b.parent = into;
    a.members += b.members;
    a.lowest = std::min(a.lowest, b.lowest);
    a.highest = std::max(a.highest, b.highest);
    a.first_operand = static_cast<uint32_t>(operands_.size());
    a.operands = static_cast<uint32_t>(merged_.size());
    operands_.insert(operands_.end(), merged_.begin(), merged_.end());
    const auto in_order = [&](PlanNode x, PlanNode y) { return order_.before(x, y); };
    std::sort(between_.begin(), between_.end(), in_order);
    for (const PlanNode group : between_) order_.move_before(group, into);
    order_.remove(from);
  }

  /// True if the two groups can become one step: they are small enough, and no path leaves them and
  /// returns. `maker` is the node of `a` that feeds `b`.
  bool mergeable(PlanNode a, PlanNode b, PlanNode maker) {
    const Group &first = groups_[a], &second = groups_[b];
    if (first.members + second.members > most_members) return false;
    const PlanNode lowest = std::min(first.lowest, second.lowest);
    // Nodes recorded before an update and nodes recorded after it see different values.
    const auto update = std::upper_bound(updates_.begin(), updates_.end(), lowest);
    if (update != updates_.end() && *update < std::max(first.highest, second.highest)) return false;

    merged_.clear();
    for (const Group* group : {&first, &second}) {
      for (const PlanValue operand : operands_of(*group)) {
        const Excerpt::Value& v = excerpt_.values[operand];
        const PlanNode g = v.node == PlanNode::none ? v.node : find(v.node);
        if (v.node != PlanNode::none && (g == a || g == b)) {
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
  bool comes_back(PlanNode a, PlanNode b, PlanNode maker) {
    between_.clear();
    ++round_;
    const auto visit = [&](PlanNode node) {
      const PlanNode group = find(node);
      if (group == b || visited_[group] == round_ || order_.before(group, a)) return;
      visited_[group] = round_;
      between_.push_back(group);
    };
    for (const PlanValue operand : operands_of(groups_[b])) {
      const PlanNode node = excerpt_.values[operand].node;
      if (node == PlanNode::none || find(node) == a) continue;
      // Finds most paths quickly: those from the forward pass through the loss and back.
      if (paths_.leads(maker, node) || paths_.leads(groups_[a].highest, node)) return true;
      visit(node);
    }
    for (size_t i = 0; i < between_.size(); ++i) {
      if (between_.size() > most_visited) return true;
      // A group is one step, so a reader of one member depends on the operands of all members.
      for (const PlanValue operand : operands_of(groups_[between_[i]])) {
        const PlanNode node = excerpt_.values[operand].node;
        if (node == PlanNode::none) continue;
        if (find(node) == a) return true;
        visit(node);
      }
    }
    return false;
  }

  const Excerpt& excerpt_;
  const Paths paths_;
  GroupOrder order_;
  IdVector<PlanNode, Group> groups_;
  std::vector<PlanValue> operands_;       // of groups, including groups that were merged
  std::vector<PlanNode> updates_;         // nodes that write to leaves
  IdVector<PlanNode, uint32_t> visited_;  // by group: the last round that visited it
  std::vector<PlanValue> merged_;
  std::vector<PlanNode> between_;
  uint32_t round_ = 0;
};

}  // namespace

bool is_wide(const Graph& graph, const Node& node) {
  const auto wide = [&](ValueId id) {
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

IdVector<PlanNode, PlanNode> fuse(const Excerpt& excerpt) {
  return Fuser(excerpt).representatives();
}

}  // namespace rapt::internal
