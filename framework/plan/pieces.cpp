#include "framework/plan/pieces.hpp"

#include <algorithm>

namespace rapt::internal {
namespace {

bool writes_through_strides(const Excerpt& excerpt, PlanValue value) {
  const Excerpt::Node& maker = excerpt.nodes[excerpt.values[value].node];
  const uint32_t output = value - maker.first_value;
  return output < 32 && (maker.op->cpu.strided_outputs >> output & 1) != 0;
}

}  // namespace

IdVector<PlanValue, Piece> find_pieces(const Excerpt& excerpt,
                                       const IdVector<PlanValue, uint32_t>& uses,
                                       const Units& units) {
  IdVector<PlanValue, Piece> pieces;
  IdVector<PlanValue, bool> wanted;
  std::vector<TensorView> views;
  for (const UnitId unit : units.ids()) {
    const Excerpt::Node& node = excerpt.nodes[units[unit].front()];
    // A whole that may itself be a piece is not contiguous.
    if (node.op->cpu.piece_of_output == nullptr || (node.op->cpu.strided_outputs & 1) != 0)
      continue;
    if (pieces.empty()) {
      pieces.resize(excerpt.values.size());
      wanted.assign(excerpt.values.size(), false);
      for (const PlanValue target : excerpt.targets) wanted[excerpt.values[target].base] = true;
    }
    const auto inputs = excerpt.inputs_of(node);
    views.clear();
    for (const PlanValue input : inputs) views.push_back(excerpt.view_of(input));
    views.push_back(excerpt.view_of(node.first_value));
    const std::span<const TensorView> all = views;
    const ForwardContext context(all.first(inputs.size()), all.last(1), excerpt.words_of(node),
                                 nullptr, nullptr, nullptr);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const PlanValue base = excerpt.values[inputs[i]].base;
      const Value& value = excerpt.recorded(inputs[i]);
      // In another shape than its maker's, the value might have no strides within the whole.
      if (value.layout != 0 || value.shape != excerpt.recorded(base).shape) continue;
      if (!excerpt.computed(base) || uses[base] != 1 || wanted[base]) continue;
      if (!writes_through_strides(excerpt, base)) continue;
      const std::optional<Layout> layout =
          node.op->cpu.piece_of_output(context, static_cast<int>(i));
      const int rank = value.shape.rank();
      if (!layout || rank == 0 || layout->strides[static_cast<size_t>(rank - 1)] != 1) continue;
      pieces[base] = {node.first_value, *layout};
    }
  }
  return pieces;
}

}  // namespace rapt::internal
