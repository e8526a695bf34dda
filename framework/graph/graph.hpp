// The recorded graph: an append-only list of nodes and values. A tape fills it, the planner reads
// it, and the executor computes it.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/internal.hpp"
#include "framework/graph/op.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/scope.hpp"
#include "framework/graph/training.hpp"

namespace rapt::internal {

/// A node: a leaf (op is null) or an operator's call.
struct Node {
  const Op* op;
  SourceLocation where;
  uint32_t scope;        // 0: none; else 1 + index into Graph::scopes
  ValueId first_value;   // its first output
  uint32_t first_input;  // index into Graph::inputs
  uint32_t first_word;   // index into Graph::words; for a leaf: index into Graph::leaves
  uint32_t words;
  uint16_t inputs;
  uint16_t outputs;

  /// Returns the outputs.
  IdRange<ValueId> values() const { return {first_value, outputs}; }
  /// Returns the content's number. Only for leaves.
  LeafId leaf() const { return LeafId{first_word}; }
};

/// One output of a node.
struct Value {
  Shape shape;
  NodeId node;
  ValueId base;     // the value whose memory it uses: itself, unless it is a view
  uint32_t layout;  // 0: contiguous, at the start of base; else 1 + index into Graph::layouts
  DType dtype;
};

/// The content of a leaf: a tensor, a parameter, or a few bytes stored in the leaf itself.
struct Leaf {
  Tensor tensor;
  std::shared_ptr<ParameterState> parameter;
  uint64_t version = 0;  // of the parameter; for a shared tensor: its fingerprint; else 0
  std::array<int64_t, 2> inline_value{};
};

/// A call of a layer, or of a function of several operators, under which nodes were recorded.
struct ScopeEntry {
  std::string path;  // path of the layer in its model, if it has one
  SourceLocation where;
  uint32_t outer = 0;  // enclosing call: 0: none; else 1 + index into Graph::scopes
};

struct Graph {
  /// A value that has been computed.
  struct Result {
    ValueId value;
    Tensor tensor;
    uint64_t fingerprint = 0;  // set when its memory was handed out
  };

  IdVector<NodeId, Node> nodes;
  IdVector<ValueId, Value> values;
  std::vector<Layout> layouts;
  std::vector<ValueId> inputs;
  std::vector<int64_t> words;
  IdVector<LeafId, Leaf> leaves;
  std::vector<ScopeEntry> scopes;  // the first used_scopes belong to this tape
  size_t used_scopes = 0;
  /// The structure of the recording as a list of words. Recordings with the same words have the
  /// same plan. Values of leaves are not part of it.
  std::vector<uint64_t> structure;
  /// Values that have been computed: those that were requested and those that the executor keeps.
  std::vector<Result> results;
  NodeId ran_to{};  // one past the last node that has run
  /// Range of the results that the latest run has kept for later runs.
  size_t kept_from = 0, kept_to = 0;
  std::optional<Training> training;
  int64_t streams = 0;  // number of random operators recorded so far
  uint32_t generation = 1;
  Graph* outer = nullptr;  // the enclosing tape's graph on its thread; or the next idle graph in
                           // the pool
  /// True if the tape has ended in another thread than it began in, and the first thread has not
  /// noticed yet.
  std::atomic<bool> abandoned = false;
  bool homeless = false;  // its thread ended before its tape; guarded by the pool's lock

  /// Returns the innermost graph that this thread is recording, or null.
  static Graph* current();
  /// Makes an empty graph the innermost one of this thread and returns it.
  static Graph* begin();
  /// Clears a graph and returns it to the pool. The graph may have begun in another thread.
  static void end(Graph* graph);

  /// Records a tensor's present values. Later writes to the tensor have no effect on small tensors.
  /// On large ones (most_copied_bytes) they are refused where they are noticed. An operator that
  /// updates the Var updates the tensor; other Vars of the tensor keep their values.
  Var constant(const Tensor& tensor, SourceLocation where);
  /// Records a tensor's memory, with the content that it has when the value is computed. Operators
  /// that update an array take it in this form.
  Var shared(const Tensor& tensor, SourceLocation where);
  Var constant(double number, DType dtype, SourceLocation where);
  Var parameter(const std::shared_ptr<ParameterState>& parameter, SourceLocation where);
  /// Returns the key of the next random operator. It is a leaf of 16 bytes (int32 [4]), so that a
  /// new key does not need a new plan. Throws Error if the tape is not for training.
  Var key(SourceLocation where);

  /// True if the Var is recorded in this graph and its tape has not ended.
  bool holds(const Var& var) const { return var.graph_ == this && var.generation_ == generation; }
  std::span<const ValueId> inputs_of(const Node& node) const {
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
  /// Returns a computed value, or null if it has not been computed.
  const Tensor* result(ValueId value) const {
    const bool known = value < result_of_.next() && result_of_[value] != 0;
    return known ? &results[result_of_[value] - 1].tensor : nullptr;
  }
  /// True if the latest run has kept the value for later runs.
  bool just_kept(ValueId value) const {
    if (result(value) == nullptr) return false;
    const size_t index = result_of_[value] - 1;
    return index >= kept_from && index < kept_to;
  }
  /// Returns a computed value to a user, who may write to it. A small one is copied; a large one is
  /// marked as handed out.
  Tensor hand_out(ValueId value);
  /// Adds a result, unless the value has one. Does not throw if reserve_results() has made room.
  void add_result(ValueId value, Tensor tensor);
  /// Makes room for `more` results.
  void reserve_results(size_t more);
  /// Returns the address of a leaf's data. Throws Error if it is a parameter that has changed since
  /// it was recorded.
  std::byte* leaf_data(ValueId value) const;
  /// Throws Error if a recorded tensor, or a result that was handed out, has been written to. The
  /// tape then no longer has the value that it recorded.
  void check_unchanged(ValueId value) const;
  /// Returns the value in contiguous memory: the Var itself, or a copy that is recorded once.
  Var contiguous(const Var& var);
  /// Returns a number that an operator may keep with a value from one recording to the next, such
  /// as the id of a copy. It is 0 at first, and again after an update of the value is recorded, or
  /// another operator has kept a number with this value.
  uint32_t& memo(const Op& owner, ValueId value);
  /// Prepares a write to a value, which has to be a leaf. The leaf then uses the memory of the
  /// recorded tensor itself, if it has one. Throws Error of `writer`, the node that writes, for
  /// other values, for a tensor with strides, and if another leaf of the same tensor is written to.
  void check_write(ValueId value, const Node& writer);
  /// Marks a value as written to, after the operator is recorded. Does not throw after
  /// check_write().
  void note_write(ValueId value);
  /// Returns a scope for nodes that are recorded on behalf of `node` (its gradient). It has the
  /// node's path and line.
  Scope scope_of(const Node& node) const { return {node.where, node.scope, *this, generation}; }
  /// Returns 1 + the index of an open scope in `scopes`. Adds it on the first call.
  uint32_t index_of(Scope& scope);
  /// Returns "decoder/attention, model.cpp:11, called at train.cpp:84".
  std::string written_at(const Node& node) const;
  /// Rethrows the exception that is being handled, with the node's operator and place. One that has
  /// a place already, and one for lack of memory, passes as it is. The type is kept.
  [[noreturn]] void rethrow_at(const Node& node) const;
  /// Clears everything, but keeps the memory for the next recording.
  void clear();

 private:
  /// Records a leaf. The caller then fills leaves.back().
  Var leaf(const Shape& shape, DType dtype, SourceLocation where);
  Leaf& leaf_of(ValueId value) { return leaves[nodes[values[value].node].leaf()]; }
  /// Returns the tensor that a leaf shares with its user.
  static const Tensor& memory_of(const Leaf& leaf);
  /// True if an operator writes to a leaf in this tensor's memory.
  bool is_written(const Tensor& tensor);
  /// Makes room for the memo of a value.
  void make_memo(ValueId value);

  struct Memo {
    const Op* owner = nullptr;
    uint32_t number = 0;
  };

  std::vector<std::pair<const ParameterState*, ValueId>> parameter_leaves_;
  std::vector<std::pair<ValueId, ValueId>> copies_;
  IdVector<ValueId, Memo> memos_;                      // may be shorter than `values`
  std::vector<std::pair<ValueId, Tensor>> originals_;  // the tensors of leaves that are copies
  std::vector<ValueId> borrowed_;  // leaves of large tensors, which are not copied
  std::vector<ValueId> written_;   // leaves that operators write to
  // 0 or 1 + index into results; may be shorter than `values`.
  IdVector<ValueId, uint32_t> result_of_;
};

}  // namespace rapt::internal

namespace rapt::inline v0 {

inline Var::Var(Graph& graph, ValueId id)
    : graph_(&graph), id_(id), generation_(graph.generation) {}

}  // namespace rapt::v0
