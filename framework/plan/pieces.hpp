// Which values are written right where they will be needed as parts of larger ones.
#pragma once

#include "framework/plan/units.hpp"

namespace rapt {

/// Where a value lies in the memory of another, `whole`.
struct Piece {
  uint32_t whole = Excerpt::none;
  Layout layout{};
};

/// By value, or empty where there are none: pieces of what an operator only puts together
/// (Op::place), each made by one that writes through strides (Op::strided_outputs), and neither
/// read by anybody else nor a target. `uses` says how often units read each base.
std::vector<Piece> find_pieces(const Excerpt& excerpt, const std::vector<uint32_t>& uses,
                               const Units& units);

}  // namespace rapt
