// Which values are written right where they will be needed as parts of larger ones.
#pragma once

#include <rapt/framework/tape.hpp>

namespace rapt {

/// Where a value lies in the memory of another, `whole`.
struct Piece {
  static constexpr uint32_t none = ~0u;
  uint32_t whole = none;
  Layout layout{};
};

/// By value: pieces of what an operator only puts together (Op::place), each made by one that
/// writes through strides (Op::strided_outputs), and neither read by anybody else nor a target.
/// `uses` says how often units read each base.
std::vector<Piece> find_pieces(const Graph& graph, std::span<const uint32_t> targets,
                               const std::vector<bool>& known, const std::vector<int>& uses,
                               const std::vector<std::vector<uint32_t>>& units);

}  // namespace rapt
