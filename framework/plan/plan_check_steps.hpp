// The part of plan_check that looks at steps: what they compute, and what they wait for.
#pragma once

#include "framework/plan/excerpt.hpp"
#include "framework/plan/plan.hpp"

namespace rapt {

/// Checks the steps of a plan but for the memory that they use. Each function throws Error where
/// something is wrong.
class StepChecker {
 public:
  StepChecker(const Excerpt& excerpt, const Plan& plan) : excerpt_(excerpt), plan_(plan) {}

  /// Comes first: finds which step computes each node, and the chains.
  void check_steps();

  /// An update runs between those that were recorded before and after it, after all other steps.
  void check_updates();

  /// Tasks hold all steps, and wait as these do.
  void check_tasks() const;

 protected:
  static constexpr uint32_t none = Excerpt::none;

  [[noreturn]] void fail(uint32_t s, std::string_view what) const;
  [[noreturn]] void fail(uint32_t s, std::string_view what, uint32_t other) const;

  std::span<const uint32_t> nodes_of(const Plan::Step& step) const {
    return {plan_.step_nodes.data() + step.first_node, step.nodes};
  }

  /// Whether the step runs after the other one: it waits for it, itself or through others.
  bool waits_for(uint32_t s, uint32_t other);

  const Excerpt& excerpt_;
  const Plan& plan_;
  std::vector<uint32_t> step_of_;   // by node
  std::vector<uint32_t> chain_of_;  // by step: the first of its chain

 private:
  // ---- which step computes what -----------------------------------------------------------------

  void find_steps();

  /// The step calls the operator of one of its nodes, with that node's words.
  void check_leader(uint32_t s) const;

  /// A sum that an operator makes on its way out: nobody else gets what the operator would make by
  /// itself, and the other part comes as its last operand.
  void check_residual(uint32_t s) const;

  /// The steps of a chain go through their rows side by side.
  void check_chain(uint32_t s) const;

  /// What a step reads that the plan does not make is given, and each update is noted.
  void check_given() const;

  /// What the nodes of a step read is what the step reads; only whole values stay inside of it.
  void check_operands(uint32_t s) const;

  void check_in_turn(uint32_t first_node, uint32_t second_node);

  std::vector<uint32_t> seen_, stack_;  // of waits_for(): by step, its latest round
  uint32_t round_ = 0;
};

}  // namespace rapt
