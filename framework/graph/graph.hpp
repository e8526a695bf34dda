// The recorded graph: the append-only list of nodes and values that a tape fills, the planner reads
// and the executor computes.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "framework/graph/op.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/scope.hpp"
#include "framework/graph/training.hpp"

namespace rapt {

/// A node: a leaf (op is null) or an operator's call.
struct Node {
  const Op* op;
  SourceLocation where;
  uint32_t scope;        // 0: none; else 1 + index into Graph::scopes
  uint32_t first_value;  // its outputs, in Graph::values
  uint32_t first_input;  // in Graph::inputs
  uint32_t first_word;   // in Graph::words; of a leaf: its index in Graph::leaves
  uint32_t words;
  uint16_t inputs;
  uint16_t outputs;
};

/// One output of a node.
struct Value {
  Shape shape;
  uint32_t node;
  uint32_t base;    // the value whose memory it lies in: itself, but for a view
  uint32_t layout;  // 0: contiguous, at the start of base; else 1 + index into Graph::layouts
  DType dtype;
};

/// What a leaf stands for: a tensor, a parameter, or a few bytes kept in place.
struct Leaf {
  Tensor tensor;
  std::shared_ptr<ParameterState> parameter;
  uint64_t version = 0;  // of the parameter; of a tensor that is shared: its fingerprint, or 0
  std::array<int64_t, 2> inline_value{};
};

/// A layer's call, or that of a function of several operators, under which nodes were recorded.
struct ScopeEntry {
  std::string path;  // of the layer in its model, where it has one
  SourceLocation where;
  uint32_t outer = 0;  // the call around it: 0: none; else 1 + index into Graph::scopes
};

struct Graph {
  /// A value that was computed.
  struct Result {
    uint32_t value;
    Tensor tensor;
    uint64_t fingerprint = 0;  // where its memory was handed out
  };

  std::vector<Node> nodes;
  std::vector<Value> values;
  std::vector<Layout> layouts;
  std::vector<uint32_t> inputs;
  std::vector<int64_t> words;
  std::vector<Leaf> leaves;
  std::vector<ScopeEntry> scopes;  // the first used_scopes are this tape's
  size_t used_scopes = 0;
  /// The structure of the recording, word by word: two recordings with the same words have the
  /// same plan. Values of leaves are no part of it.
  std::vector<uint64_t> structure;
  /// Values that were computed already: those that somebody asked for, and what the executor keeps.
  std::vector<Result> results;
  uint32_t ran_to = 0;  // behind the last node that has run
  /// Which of the results the latest run has kept for later ones.
  size_t kept_from = 0, kept_to = 0;
  std::optional<Training> training;
  int64_t streams = 0;  // random operators recorded so far
  uint32_t generation = 1;
  Graph* outer = nullptr;  // the tape around this one, on its thread; or the next idle graph
  /// Its tape has ended in another thread than it began in; its own has not seen that yet.
  std::atomic<bool> abandoned = false;
  bool homeless = false;  // its thread has ended before its tape; guarded as the pool is

  /// The innermost one of this thread that is being recorded, or null.
  static Graph* current();
  /// An empty one, from now on the innermost of this thread.
  static Graph* begin();
  /// Forgets what was recorded, and keeps the graph for a later tape. It may have begun in another
  /// thread.
  static void end(Graph* graph);

  /// A tensor's values as they are now: later writes to it have no effect, or are refused where
  /// they are noticed (most_copied_bytes). An operator that updates the Var updates the tensor;
  /// what other Vars of the tensor hold stays as it was.
  Var constant(const Tensor& tensor, SourceLocation where);
  /// A tensor's memory, whatever it holds when the value is asked for: what an operator updates.
  Var shared(const Tensor& tensor, SourceLocation where);
  Var constant(double number, DType dtype, SourceLocation where);
  Var parameter(const std::shared_ptr<ParameterState>& parameter, SourceLocation where);
  /// The key of the next random operator, as a leaf of 16 bytes (int32 [4]), so that a new key
  /// does not make a new plan. Throws Error where the tape is not for training.
  Var key(SourceLocation where);

  /// Whether the Var is recorded in this graph, and its tape has not ended.
  bool holds(const Var& var) const { return var.graph_ == this && var.generation_ == generation; }
  std::span<const uint32_t> inputs_of(const Node& node) const {
    return {inputs.data() + node.first_input, node.inputs};
  }
  std::span<const int64_t> words_of(const Node& node) const {
    return {words.data() + node.first_word, node.words};
  }
  Strides strides_of(const Value& value) const {
    return value.layout == 0 ? contiguous_strides(value.shape) : layouts[value.layout - 1].strides;
  }
  int64_t offset_of(const Value& value) const {
    return value.layout == 0 ? 0 : layouts[value.layout - 1].offset;
  }
  /// Of a value that was computed already; else null.
  const Tensor* result(uint32_t value) const {
    const bool known = value < result_of_.size() && result_of_[value] != 0;
    return known ? &results[result_of_[value] - 1].tensor : nullptr;
  }
  /// Whether the latest run has kept the value for later ones.
  bool just_kept(uint32_t value) const {
    if (result(value) == nullptr) return false;
    const size_t index = result_of_[value] - 1;
    return index >= kept_from && index < kept_to;
  }
  /// The same for somebody outside, who may write to it: a copy, or noted as handed out.
  Tensor hand_out(uint32_t value);
  /// Adds one, unless there is one for the value. Throws nothing where reserve_results() has made
  /// room.
  void add_result(uint32_t value, Tensor tensor);
  /// Makes room for `more` results.
  void reserve_results(size_t more);
  /// Where a leaf's data are. Throws Error where it is a parameter that has changed since.
  std::byte* leaf_data(uint32_t value) const;
  /// Throws Error where a tensor that was recorded, or a result that was handed out, has been
  /// written to: the tape then no longer has the value that it recorded.
  void check_unchanged(uint32_t value) const;
  /// The same value in contiguous memory: itself, or a copy recorded once.
  Var contiguous(const Var& var);
  /// What an operator notes of a value while it records, 0 until then, and again once an update of
  /// the value is recorded. There is one note a value: linear() keeps its weights' there.
  uint32_t& note(uint32_t value);
  /// Prepares that an operator writes to a value, which has to be a leaf: it then lies in the
  /// tensor itself that was recorded, if it was one. Throws Error for other values, for a tensor
  /// with strides, and where another leaf of the same tensor is written to.
  void check_write(uint32_t value);
  /// Notes the write, once the operator is recorded. Throws nothing after check_write().
  void note_write(uint32_t value);
  /// The scope of what is recorded on a node's behalf (its gradient): the node's own path and line.
  Scope scope_of(const Node& node) const { return {node.where, node.scope, *this, generation}; }
  /// 1 + the place in `scopes` of an open scope, which is written there once.
  uint32_t index_of(Scope& scope);
  /// "decoder/attention, model.cpp:11, called at train.cpp:84".
  std::string written_at(const Node& node) const;
  /// Forgets everything, keeping the memory for the next recording.
  void clear();

 private:
  /// A leaf without content, which is to be put into leaves.back().
  Var leaf(const Shape& shape, DType dtype, SourceLocation where);
  Leaf& leaf_of(uint32_t value) { return leaves[nodes[values[value].node].first_word]; }
  /// The tensor that a leaf shares with its user.
  static const Tensor& memory_of(const Leaf& leaf);
  /// Whether a leaf that an operator writes to lies in the tensor's memory.
  bool is_written(const Tensor& tensor);

  std::vector<std::pair<const ParameterState*, uint32_t>> parameter_leaves_;
  std::vector<std::pair<uint32_t, uint32_t>> copies_;
  std::vector<uint32_t> notes_;                         // of the first values
  std::vector<std::pair<uint32_t, Tensor>> originals_;  // of leaves that are copies
  std::vector<uint32_t> borrowed_;   // leaves of large tensors, which are not copied
  std::vector<uint32_t> written_;    // leaves that operators write to
  std::vector<uint32_t> result_of_;  // of the first values: an index of results, plus 1; or 0
};

inline Var::Var(Graph& graph, uint32_t id)
    : graph_(&graph), id_(id), generation_(graph.generation) {}

}  // namespace rapt
