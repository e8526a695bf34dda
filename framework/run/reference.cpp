#include "framework/run/reference.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/core/out_of_memory.hpp"
#include "framework/plan/fused_group.hpp"
#include "framework/plan/fusion.hpp"
#include "framework/plan/plan.hpp"

namespace rapt::internal {
namespace {

void in_turn(int64_t n, FunctionRef<void(int64_t)> body) {
  for (int64_t i = 0; i < n; ++i) body(i);
}

/// Calls the operator of one node.
void call(const Graph& graph, const Node& node, std::span<const TensorView> inputs,
          std::span<const TensorView> outputs, Guard* guard) {
  const auto words = graph.words_of(node);
  std::shared_ptr<const void> program;
  if (node.op->cpu.pointwise != nullptr) {
    // A group of one: its operands are the inputs, and its only member computes the output.
    FusedGroup group;
    group.members.push_back({node.op, words, {}, outputs[0].dtype});
    group.operands.assign(inputs.begin(), inputs.end());
    group.outputs.assign(outputs.begin(), outputs.end());
    group.output_members = {0};
    group.wide = is_wide(graph, node);
    for (int i = 0; i < node.inputs; ++i) group.members[0].inputs.push_back(-1 - i);
    program = node.op->cpu.pointwise->compile(group);
  }
  const ForwardContext dry(inputs, outputs, words, nullptr, in_turn, program.get());
  const std::shared_ptr<std::byte> scratch =
      allocate(node.op->cpu.scratch != nullptr ? node.op->cpu.scratch(dry) : 0);
  const ForwardContext context(inputs, outputs, words, scratch.get(), in_turn, program.get());
  const Rowwise* rowwise = rowwise_of(*node.op);
  if (rowwise == nullptr) {
    node.op->cpu.forward(context);
  } else {
    if (const int64_t rows = rowwise->extent(context).count; rows > 0) {
      rowwise->rows(context, 0, rows);
    }
    if (rowwise->finish != nullptr) rowwise->finish(context);
  }
  if (guard == nullptr) return;
  Plan::Step step{};
  step.nodes = 1;
  step.makes_infinity = node.op->traits.makes_infinity;
  if (const int bad = guard->first_bad(step, context); bad >= 0) {
    throw NonFiniteError({.op = std::string(node.op->name),
                          .detail = fmt::format("the result {} holds a NaN or an infinity",
                                                to_string(context.output(bad).shape)),
                          .place = graph.written_at(node)});
  }
}

ErrorParts memory_needed(const Graph& graph, const Node& node) {
  std::string shapes;
  for (const ValueId v : node.values()) {
    shapes += " " + to_string(graph.values[v].shape);
  }
  return {.op = std::string(node.op->name),
          .detail = "out of memory for" + shapes,
          .place = graph.written_at(node)};
}

/// Copies of the leaves that nodes write to. Restores them, unless the run succeeds.
class Unchanged {
 public:
  Unchanged() = default;
  Unchanged(const Unchanged&) = delete;
  Unchanged& operator=(const Unchanged&) = delete;
  ~Unchanged() {
    for (auto it = kept_.rbegin(); it != kept_.rend(); ++it) it->place.copy_from(it->before);
  }

  /// Copies the inputs that the node will write to. Must be called before the node runs.
  void keep_inputs_of(const Node& node, std::span<const TensorView> inputs) {
    for (size_t i = 0; i < inputs.size() && i < 32; ++i) {
      if ((node.op->traits.mutates >> i & 1) == 0) continue;
      const TensorView& v = inputs[i];
      const Tensor place(nullptr, v.data, v.dtype, v.shape, v.strides);
      kept_.push_back({place, place.clone()});
    }
  }
  void accept() { kept_.clear(); }

 private:
  struct Kept {
    Tensor place, before;
  };
  std::vector<Kept> kept_;
};

/// The memory of a graph's values while they are computed.
class Memory {
 public:
  explicit Memory(const Graph& graph) : graph_(graph), data_(graph.values.size(), nullptr) {}

  /// True for a leaf or a value that was computed before. It is read in place.
  bool is_given(ValueId base) const {
    return graph_.nodes[graph_.values[base].node].op == nullptr || graph_.result(base) != nullptr;
  }
  void give(ValueId base) {
    if (data_[base] != nullptr) return;
    graph_.check_unchanged(base);
    const bool leaf = graph_.nodes[graph_.values[base].node].op == nullptr;
    data_[base] =
        leaf ? graph_.leaf_data(base) : static_cast<std::byte*>(graph_.result(base)->bytes());
  }
  /// Allocates fresh memory that lives until the end of the run.
  void make(ValueId value) {
    tensors_.emplace_back(graph_.values[value].shape, graph_.values[value].dtype);
    data_[value] = static_cast<std::byte*>(tensors_.back().bytes());
  }
  TensorView view(ValueId value) const {
    const Value& v = graph_.values[value];
    return {data_[v.base] + graph_.offset_of(v) * size_of(v.dtype), v.dtype, v.shape,
            graph_.strides_of(v)};
  }
  Tensor copy(ValueId value) const {
    const TensorView v = view(value);
    return Tensor(nullptr, v.data, v.dtype, v.shape, v.strides).clone();
  }

 private:
  const Graph& graph_;
  IdVector<ValueId, std::byte*> data_;  // by base
  std::vector<Tensor> tensors_;
};

}  // namespace

std::vector<Tensor> reference_run(const Graph& graph, std::span<const ValueId> targets,
                                  Guard* guard) {
  // Finds the nodes that the targets need, going backwards.
  Memory memory(graph);
  IdVector<NodeId, bool> needed(graph.nodes.size(), false);
  const auto need = [&](ValueId value) {
    const ValueId base = graph.values[value].base;
    if (memory.is_given(base)) {
      memory.give(base);
    } else {
      needed[graph.values[base].node] = true;
    }
  };
  for (const ValueId target : targets) need(target);
  for (NodeId n = graph.nodes.next(); n > NodeId{};) {
    --n;
    if (!needed[n]) continue;
    for (const ValueId input : graph.inputs_of(graph.nodes[n])) need(input);
  }

  // Copies leaves, and views of them, before an update writes to them.
  std::vector<Tensor> results(targets.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    if (memory.is_given(graph.values[targets[i]].base)) results[i] = memory.copy(targets[i]);
  }
  std::vector<TensorView> inputs, outputs;
  Unchanged leaves;
  for (const NodeId n : graph.nodes.ids()) {
    if (!needed[n]) continue;
    const Node& node = graph.nodes[n];
    inputs.clear();
    outputs.clear();
    for (const ValueId input : graph.inputs_of(node)) inputs.push_back(memory.view(input));
    for (const ValueId v : node.values()) {
      memory.make(v);
      outputs.push_back(memory.view(v));
    }
    try {
      leaves.keep_inputs_of(node, inputs);
      call(graph, node, inputs, outputs, guard);
    } catch (const std::bad_alloc&) {
      throw_out_of_memory([&] { return memory_needed(graph, node); });
    } catch (const OutOfMemory& error) {
      if (!error.place().empty()) throw;
      throw_out_of_memory([&] { return memory_needed(graph, node); });
    } catch (...) {
      graph.rethrow_at(node);
    }
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!results[i]) results[i] = memory.copy(targets[i]);
  }
  leaves.accept();
  return results;
}

}  // namespace rapt::internal
