// The part of plan_check that verifies steps: what they compute, and what they wait for.
#pragma once

#include "framework/core/internal.hpp"
#include "framework/plan/excerpt.hpp"
#include "framework/plan/plan.hpp"

namespace rapt::internal {

/// Verifies the steps of a plan, except for their memory. Each function throws Error if it finds a
/// fault.
class StepChecker {
 public:
  StepChecker(const Excerpt& excerpt, const Plan& plan) : excerpt_(excerpt), plan_(plan) {}

  /// Finds the step that computes each node, and the chains. Must be called first.
  void check_steps();

  /// Checks that updates run after all other steps. Checks that an update runs after the nodes
  /// that were recorded before it and use its leaf, and before those that were recorded after it.
  void check_updates();

  /// Checks that tasks hold all steps and wait as these do.
  void check_tasks() const;

 protected:
  [[noreturn]] void fail(StepId s, std::string_view what) const;
  [[noreturn]] void fail(StepId s, std::string_view what, StepId other) const;

  std::span<const PlanNode> nodes_of(const Plan::Step& step) const {
    return {plan_.step_nodes.data() + step.first_node, step.nodes};
  }

  /// True if the step waits for the other one, directly or through other steps.
  bool waits_for(StepId s, StepId other);

  const Excerpt& excerpt_;
  const Plan& plan_;
  IdVector<PlanNode, StepId> step_of_;
  IdVector<StepId, StepId> chain_of_;  // the first step of its chain

 private:
  // ---- which step computes what -----------------------------------------------------------------

  void find_steps();

  /// Checks that the step calls the operator of one of its nodes, with that node's words.
  void check_leader(StepId s) const;

  /// Checks a sum that an operator adds to its output. No other step may use the operator's output
  /// without the sum. The other summand must be the step's last operand.
  void check_residual(StepId s) const;

  /// Checks that the steps of a chain process the same rows together.
  void check_chain(StepId s) const;

  /// Checks that all inputs which the plan does not compute are in `given`, and all updates in
  /// `updated`.
  void check_given() const;

  /// Checks that the step reads what its nodes read. Only whole values may stay inside it.
  void check_operands(StepId s) const;

  void check_in_turn(PlanNode first_node, PlanNode second_node);

  IdVector<StepId, uint32_t> seen_;  // for waits_for(): the last round that visited the step
  std::vector<StepId> stack_;
  uint32_t round_ = 0;
};

}  // namespace rapt::internal
