#include "framework/plan/excerpt.hpp"

#include <algorithm>

namespace rapt::internal {

// ---- Excerpt ------------------------------------------------------------------------------------

TensorView Excerpt::view_of(PlanValue value) const {
  const rapt::Value& v = recorded(value);
  return {nullptr, v.dtype, v.shape, graph->strides_of(v)};
}

void Excerpt::append_key(std::vector<uint64_t>& key) const {
  const auto shape = [&](const rapt::Value& v, uint64_t tag) {
    key.push_back(tag << 48 | static_cast<uint64_t>(v.dtype) << 32 |
                  static_cast<uint64_t>(v.shape.rank()));
    for (const int64_t dim : v.shape) key.push_back(static_cast<uint64_t>(dim));
  };
  for (const PlanValue v : values.ids()) {
    const Value& value = values[v];
    const rapt::Value& in_graph = recorded(v);
    if (value.base != v) {  // a view
      shape(in_graph, 4);
      key.push_back(index(value.base));
      key.push_back(static_cast<uint64_t>(graph->offset_of(in_graph)));
      const Strides strides = graph->strides_of(in_graph);
      for (int axis = 0; axis < in_graph.shape.rank(); ++axis) {
        key.push_back(static_cast<uint64_t>(strides[static_cast<size_t>(axis)]));
      }
    } else if (value.kind == Kind::leaf) {
      shape(in_graph, 2);
    } else if (value.kind == Kind::known) {
      shape(in_graph, 3);
    }
  }
  for (const Node& node : nodes) {
    const auto words = words_of(node);
    key.push_back(reinterpret_cast<uint64_t>(node.op));
    key.push_back(static_cast<uint64_t>(node.inputs) << 32 | words.size());
    key.push_back(index(node.first_value));
    for (const PlanValue input : inputs_of(node)) key.push_back(index(input));
    for (const int64_t word : words) key.push_back(static_cast<uint64_t>(word));
  }
  key.push_back(targets.size());
  for (const PlanValue target : targets) key.push_back(index(target));
}

// ---- Extractor ----------------------------------------------------------------------------------

const Excerpt& Extractor::extract(const Graph& graph, std::span<const ValueId> targets) {
  excerpt_.graph = &graph;
  excerpt_.nodes.clear();
  excerpt_.values.clear();
  excerpt_.inputs.clear();
  excerpt_.targets.clear();
  excerpt_.updates = false;
  if (++round_ == 0) {  // the counter has wrapped around
    std::fill(values_.begin(), values_.end(), Mark{});
    std::fill(nodes_.begin(), nodes_.end(), 0);
    round_ = 1;
  }
  if (values_.size() < graph.values.size()) values_.resize(graph.values.size());
  if (nodes_.size() < graph.nodes.size()) nodes_.resize(graph.nodes.size());

  find_nodes(targets);
  excerpt_.nodes.reserve(found_.size());
  for (auto n = found_.rbegin(); n != found_.rend(); ++n) {
    const Node& node = graph.nodes[*n];
    const auto first_input = static_cast<uint32_t>(excerpt_.inputs.size());
    for (const ValueId input : graph.inputs_of(node)) excerpt_.inputs.push_back(local(input));
    const PlanNode local_node = excerpt_.nodes.next();
    const PlanValue first_value = excerpt_.values.next();
    excerpt_.nodes.push_back({node.op, *n, first_value, first_input, node.inputs, node.outputs});
    excerpt_.updates = excerpt_.updates || node.op->traits.mutates != 0;
    for (uint32_t i = 0; i < node.outputs; ++i) {
      add(node.first_value + i,
          {node.first_value + i, first_value + i, local_node, Excerpt::Kind::computed, true});
    }
  }
  for (const ValueId target : targets) excerpt_.targets.push_back(local(target));
  return excerpt_;
}

/// Walks back from the last needed node until no needed node is left. Nodes only read earlier
/// nodes.
void Extractor::find_nodes(std::span<const ValueId> targets) {
  found_.clear();
  open_ = 0;
  highest_ = {};
  for (const ValueId target : targets) need(target);
  const Graph& graph = *excerpt_.graph;
  for (NodeId n = highest_; open_ > 0; --n) {
    if (nodes_[n] != round_) continue;
    --open_;
    found_.push_back(n);
    for (const ValueId input : graph.inputs_of(graph.nodes[n])) need(input);
  }
}

/// True if the base was computed before and is no leaf. Leaves and views are always read in place,
/// even if their values were handed out. An update writes to the leaf itself. And another layout
/// could change the order in which an operator sums.
bool Extractor::is_known(ValueId base) const {
  const Graph& graph = *excerpt_.graph;
  return graph.result(base) != nullptr && graph.nodes[graph.values[base].node].op != nullptr;
}

void Extractor::need(ValueId value) {
  const Graph& graph = *excerpt_.graph;
  const ValueId base = graph.values[value].base;
  if (is_known(base)) return;
  const NodeId node = graph.values[base].node;
  if (graph.nodes[node].op == nullptr || nodes_[node] == round_) return;
  nodes_[node] = round_;
  highest_ = std::max(highest_, node);
  ++open_;
}

PlanValue Extractor::local(ValueId value) {
  if (values_[value].round == round_) return values_[value].local;
  using Kind = Excerpt::Kind;
  const ValueId base = excerpt_.graph->values[value].base;
  if (base == value) {
    const Kind kind = is_known(base) ? Kind::known : Kind::leaf;
    return add(value, {value, excerpt_.values.next(), PlanNode::none, kind, false});
  }
  const PlanValue under = local(base);
  const Excerpt::Value whole = excerpt_.values[under];
  return add(value, {value, under, whole.node, whole.kind, false});
}

PlanValue Extractor::add(ValueId value, const Excerpt::Value& entry) {
  const PlanValue added = excerpt_.values.next();
  excerpt_.values.push_back(entry);
  values_[value] = {round_, added};
  return added;
}

}  // namespace rapt::internal
