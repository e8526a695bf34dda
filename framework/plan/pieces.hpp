// Values that are written directly into the memory of larger values of which they become parts.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/units.hpp"

namespace rapt::internal {

/// The place of a value in the memory of another one, `whole`.
struct Piece {
  PlanValue whole = PlanValue::none;
  Layout layout{};
};

/// Returns the pieces by value, or an empty list if there are none. A piece is an input of an
/// operator that only concatenates its inputs (Op::place). It is computed by an operator that
/// writes through strides (Op::strided_outputs), has no other readers, and is not a target. `uses`
/// counts the units that read each base.
IdVector<PlanValue, Piece> find_pieces(const Excerpt& excerpt,
                                       const IdVector<PlanValue, uint32_t>& uses,
                                       const Units& units);

}  // namespace rapt::internal
