// What each pass of the planner made, as text.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "framework/core/internal.hpp"
#include "framework/plan/excerpt.hpp"
#include "framework/plan/pieces.hpp"
#include "framework/plan/plan.hpp"
#include "framework/plan/unit_order.hpp"
#include "framework/plan/units.hpp"

namespace rapt::internal {

/// Writes one section per pass. Nodes are `#3 matmul`, values `%5`, units `u2` and steps `s4`, with
/// their numbers in the excerpt. Without a text to write to, it does nothing.
class PassLog {
 public:
  PassLog(std::string* text, const Excerpt& excerpt) : text_(text), excerpt_(excerpt) {}

  /// Writes the excerpt: a node per line, with its inputs and outputs.
  void excerpt();
  /// Writes the division into units: kind and nodes of each.
  void units(const Units& units);
  /// Writes the order of the units, and whom each must follow besides the makers of its operands.
  void order(const UnitOrder& order);
  /// Writes the values that are written straight into larger ones, with their layout there.
  void pieces(const IdVector<PlanValue, Piece>& pieces);
  /// Writes the chains of steps that run together, a few rows at a time.
  void chains(const IdVector<StepId, RowChain>& chains);
  /// Writes where each step's outputs lie, and for which steps it waits.
  void memory(const Plan& plan);

 private:
  std::string node(PlanNode n) const;

  std::string* text_;
  const Excerpt& excerpt_;
};

}  // namespace rapt::internal
