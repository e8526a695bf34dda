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
  static constexpr uint32_t none = Excerpt::none;

  [[noreturn]] void fail(uint32_t s, std::string_view what) const;
  [[noreturn]] void fail(uint32_t s, std::string_view what, uint32_t other) const;

  std::span<const uint32_t> nodes_of(const Plan::Step& step) const {
    return {plan_.step_nodes.data() + step.first_node, step.nodes};
  }

  /// True if the step waits for the other one, directly or through other steps.
  bool waits_for(uint32_t s, uint32_t other);

  const Excerpt& excerpt_;
  const Plan& plan_;
  std::vector<uint32_t> step_of_;   // by node
  std::vector<uint32_t> chain_of_;  // by step: the first step of its chain

 private:
  // ---- which step computes what -----------------------------------------------------------------

  void find_steps();

  /// Checks that the step calls the operator of one of its nodes, with that node's words.
  void check_leader(uint32_t s) const;

  /// Checks a sum that an operator adds to its output. No other step may use the operator's output
  /// without the sum. The other summand must be the step's last operand.
  void check_residual(uint32_t s) const;

  /// Checks that the steps of a chain process the same rows together.
  void check_chain(uint32_t s) const;

  /// Checks that all inputs which the plan does not compute are in `given`, and all updates in
  /// `updated`.
  void check_given() const;

  /// Checks that the step reads what its nodes read. Only whole values may stay inside it.
  void check_operands(uint32_t s) const;

  void check_in_turn(uint32_t first_node, uint32_t second_node);

  std::vector<uint32_t> seen_, stack_;  // for waits_for(); seen_: by step, the last round that
                                        // visited it
  uint32_t round_ = 0;
};

}  // namespace rapt::internal
