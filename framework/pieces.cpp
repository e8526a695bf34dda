#include <rapt/framework/fusion.hpp>
#include <rapt/framework/pieces.hpp>

namespace rapt {
namespace {

TensorView view_of(const Graph& graph, uint32_t value) {
  const Value& v = graph.values[value];
  return {nullptr, v.dtype, v.shape, graph.strides_of(v)};
}

bool writes_through_strides(const Graph& graph, uint32_t value) {
  const Node& maker = graph.nodes[graph.values[value].node];
  const uint32_t output = value - maker.first_value;
  return output < 32 && (maker.op->strided_outputs >> output & 1) != 0;
}

}  // namespace

std::vector<Piece> find_pieces(const Graph& graph, std::span<const uint32_t> targets,
                               const std::vector<bool>& known, const std::vector<int>& uses,
                               const std::vector<std::vector<uint32_t>>& units) {
  std::vector<Piece> pieces(graph.values.size());
  std::vector<bool> wanted(graph.values.size(), false);
  for (const uint32_t target : targets) wanted[graph.values[target].base] = true;
  std::vector<TensorView> views;
  for (const std::vector<uint32_t>& unit : units) {
    const Node& node = graph.nodes[unit.front()];
    if (node.op->place == nullptr) continue;
    const auto inputs = graph.inputs_of(node);
    views.clear();
    for (const uint32_t input : inputs) views.push_back(view_of(graph, input));
    views.push_back(view_of(graph, node.first_value));
    const std::span<const TensorView> all = views;
    const ForwardContext context(all.first(inputs.size()), all.last(1), graph.words_of(node),
                                 nullptr, nullptr, nullptr);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Value& value = graph.values[inputs[i]];
      const uint32_t base = value.base;
      // In another shape than its maker's it might have no strides in the whole.
      if (value.layout != 0 || value.shape != graph.values[base].shape) continue;
      if (!computed(graph, known, base) || uses[base] != 1 || wanted[base]) continue;
      if (!writes_through_strides(graph, base)) continue;
      const std::optional<Layout> layout = node.op->place(context, static_cast<int>(i));
      const int rank = value.shape.rank();
      if (!layout || rank == 0 || layout->strides[static_cast<size_t>(rank - 1)] != 1) continue;
      pieces[base] = {node.first_value, *layout};
    }
  }
  return pieces;
}

}  // namespace rapt
