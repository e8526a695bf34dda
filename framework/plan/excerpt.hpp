// The part of a recording that a plan computes, with its own numbering.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/graph/graph.hpp"
#include "framework/plan/plan_ids.hpp"

namespace rapt::internal {

/// The nodes that some targets need and whose values are not yet known, in the order of recording,
/// and the values that they use. Nodes and values are numbered from 0 in the order of their first
/// appearance. Two parts of equal structure thus have the same numbers wherever they are on a tape,
/// and share a plan.
struct Excerpt {
  enum class Kind : uint8_t { computed, leaf, known };

  /// A call of an operator.
  struct Node {
    const Op* op;
    NodeId id;              // in the graph
    PlanValue first_value;  // its outputs
    uint32_t first_input;   // in `inputs`
    uint32_t inputs;
    uint32_t outputs;

    /// Returns the outputs.
    IdRange<PlanValue> values() const { return {first_value, outputs}; }
  };
  struct Value {
    ValueId id;      // in the graph
    PlanValue base;  // the value whose memory it uses
    PlanNode node;   // the node that computes the base; none for leaves and known values
    Kind kind;       // of the base
    bool whole;      // it is its own base, complete and contiguous
  };

  const Graph* graph = nullptr;
  IdVector<PlanNode, Node> nodes;
  IdVector<PlanValue, Value> values;
  std::vector<PlanValue> inputs;
  std::vector<PlanValue> targets;
  bool updates = false;  // true if one of the nodes writes to a leaf

  std::span<const PlanValue> inputs_of(const Node& node) const {
    return {inputs.data() + node.first_input, node.inputs};
  }
  std::span<const int64_t> words_of(const Node& node) const {
    return graph->words_of(graph->nodes[node.id]);
  }
  const rapt::Value& recorded(PlanValue value) const { return graph->values[values[value].id]; }
  const rapt::Node& recorded(const Node& node) const { return graph->nodes[node.id]; }
  bool computed(PlanValue value) const { return values[value].kind == Kind::computed; }
  /// Returns the bytes of a whole value, rounded up to full cache lines.
  int64_t bytes_of(PlanValue value) const {
    const rapt::Value& v = recorded(value);
    return (v.shape.size() * size_of(v.dtype) + 63) / 64 * 64;
  }
  /// Returns the value as its readers see it, without data.
  TensorView view_of(PlanValue value) const;
  /// Appends everything that the plan depends on. Two excerpts with the same words have the same
  /// plan.
  void append_key(std::vector<uint64_t>& key) const;
};

/// Finds excerpts. It keeps its working memory, so that the cost depends on the size of the excerpt
/// and not of the tape.
class Extractor {
 public:
  /// Returns the excerpt that the targets need. Valid until the next call.
  const Excerpt& extract(const Graph& graph, std::span<const ValueId> targets);

 private:
  void find_nodes(std::span<const ValueId> targets);
  bool is_known(ValueId base) const;
  void need(ValueId value);
  PlanValue local(ValueId value);
  PlanValue add(ValueId value, const Excerpt::Value& entry);

  struct Mark {
    uint32_t round = 0;
    PlanValue local{};
  };

  Excerpt excerpt_;
  IdVector<ValueId, Mark> values_;
  IdVector<NodeId, uint32_t> nodes_;  // the last round that needed the node
  std::vector<NodeId> found_;
  uint32_t round_ = 0;
  size_t open_ = 0;  // needed nodes that find_nodes() has not yet visited
  NodeId highest_{};
};

}  // namespace rapt::internal
