#include <fmt/format.h>

#include <rapt/framework/error.hpp>
#include <rapt/framework/fusion.hpp>
#include <rapt/framework/plan.hpp>
#include <rapt/framework/reference.hpp>

namespace rapt {
namespace {

void in_turn(int64_t n, FunctionRef<void(int64_t)> body) {
  for (int64_t i = 0; i < n; ++i) body(i);
}

/// Calls the operator of one node.
void call(const Graph& graph, const Node& node, std::span<const TensorView> inputs,
          std::span<const TensorView> outputs) {
  const auto words = graph.words_of(node);
  std::shared_ptr<const void> program;
  if (node.op->pointwise != nullptr) {
    // A group of one: its operands are the inputs, and its member makes the output.
    FusedGroup group;
    group.members.push_back({node.op, words, {}, outputs[0].dtype});
    group.operands.assign(inputs.begin(), inputs.end());
    group.outputs.assign(outputs.begin(), outputs.end());
    group.output_members = {0};
    group.wide = is_wide(graph, node);
    for (int i = 0; i < node.inputs; ++i) group.members[0].inputs.push_back(-1 - i);
    program = node.op->pointwise->compile(group);
  }
  const ForwardContext dry(inputs, outputs, words, nullptr, in_turn, program.get());
  const std::shared_ptr<std::byte> scratch =
      allocate(node.op->scratch != nullptr ? node.op->scratch(dry) : 0);
  const ForwardContext context(inputs, outputs, words, scratch.get(), in_turn, program.get());
  const Rowwise* rowwise = rowwise_of(*node.op);
  if (rowwise == nullptr) return node.op->forward(context);
  if (const int64_t rows = rowwise->extent(context).count; rows > 0) {
    rowwise->rows(context, 0, rows);
  }
  if (rowwise->finish != nullptr) rowwise->finish(context);
}

}  // namespace

std::vector<Tensor> reference_run(const Graph& graph, std::span<const uint32_t> targets) {
  // What the targets need, found backwards.
  std::vector<bool> needed(graph.nodes.size(), false);
  const auto need = [&](uint32_t value) { needed[graph.values[value].node] = true; };
  for (const uint32_t target : targets) need(target);
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    if (!needed[n]) continue;
    for (const uint32_t input : graph.inputs_of(graph.nodes[n])) need(input);
  }

  // Of each value: where it lies. Of those that are computed: the memory, which lives to the end.
  std::vector<TensorView> views(graph.values.size());
  std::vector<Tensor> memory;
  std::vector<TensorView> inputs;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!needed[n]) continue;
    const Node& node = graph.nodes[n];
    for (uint32_t v = node.first_value; v < node.first_value + node.outputs; ++v) {
      const Value& value = graph.values[v];
      views[v] = {nullptr, value.dtype, value.shape, graph.strides_of(value)};
      if (node.op == nullptr) {
        views[v].data = graph.leaf_data(v);
      } else if (value.base != v) {  // a view
        views[v].data = static_cast<std::byte*>(views[value.base].data) +
                        graph.offset_of(value) * size_of(value.dtype);
      } else {
        memory.emplace_back(value.shape, value.dtype);
        views[v].data = memory.back().bytes();
      }
    }
    if (node.op == nullptr || node.op->copy != nullptr) continue;
    inputs.clear();
    for (const uint32_t input : graph.inputs_of(node)) inputs.push_back(views[input]);
    try {
      call(graph, node, inputs, {views.data() + node.first_value, node.outputs});
    } catch (const std::exception& error) {
      throw Error(fmt::format("{}: {}{}", node.op->name, error.what(), graph.place_of(node)));
    }
  }

  std::vector<Tensor> results;
  for (const uint32_t target : targets) {
    const TensorView& v = views[target];
    results.push_back(Tensor(nullptr, v.data, v.dtype, v.shape, v.strides).clone());
  }
  return results;
}

}  // namespace rapt
