#include <fmt/format.h>

#include <rapt/framework/error.hpp>
#include <rapt/framework/fusion.hpp>
#include <rapt/framework/out_of_memory.hpp>
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

std::string memory_needed(const Graph& graph, const Node& node) {
  std::string shapes;
  for (uint32_t v = node.first_value; v < node.first_value + node.outputs; ++v) {
    shapes += " " + to_string(graph.values[v].shape);
  }
  return fmt::format("{}: out of memory for{}{}", node.op->name, shapes, graph.place_of(node));
}

/// What leaves hold that nodes write to. Puts it back, unless the run ends well.
class Unchanged {
 public:
  Unchanged() = default;
  Unchanged(const Unchanged&) = delete;
  Unchanged& operator=(const Unchanged&) = delete;
  ~Unchanged() {
    for (auto it = kept_.rbegin(); it != kept_.rend(); ++it) it->place.copy_from(it->before);
  }

  /// To be called before the node runs.
  void keep_inputs_of(const Graph& graph, const Node& node, std::span<const TensorView> views) {
    for (size_t i = 0; node.op->mutates >> i != 0; ++i) {
      if ((node.op->mutates >> i & 1) == 0) continue;
      const TensorView& v = views[graph.values[graph.inputs_of(node)[i]].base];
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
  Unchanged leaves;
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
      leaves.keep_inputs_of(graph, node, views);
      call(graph, node, inputs, {views.data() + node.first_value, node.outputs});
    } catch (const std::bad_alloc&) {
      throw_out_of_memory([&] { return memory_needed(graph, node); });
    } catch (const OutOfMemory&) {
      throw_out_of_memory([&] { return memory_needed(graph, node); });
    } catch (const std::exception& error) {
      throw Error(fmt::format("{}: {}{}", node.op->name, error.what(), graph.place_of(node)));
    }
  }

  std::vector<Tensor> results;
  for (const uint32_t target : targets) {
    const TensorView& v = views[target];
    results.push_back(Tensor(nullptr, v.data, v.dtype, v.shape, v.strides).clone());
  }
  leaves.accept();
  return results;
}

}  // namespace rapt
