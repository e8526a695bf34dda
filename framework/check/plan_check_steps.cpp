#include "framework/check/plan_check_steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "framework/core/error.hpp"

namespace rapt::internal {

void StepChecker::check_steps() {
  find_steps();
  check_given();
  for (const StepId s : plan_.steps.ids()) {
    check_leader(s);
    check_chain(s);
    check_operands(s);
  }
}

void StepChecker::check_updates() {
  if (!excerpt_.updates) return;
  // By leaf: the nodes that update it, ascending.
  std::map<PlanValue, std::vector<PlanNode>> updates;
  for (const PlanNode n : excerpt_.nodes.ids()) {
    const Excerpt::Node& node = excerpt_.nodes[n];
    for (uint32_t i = 0; i < node.inputs && i < 32; ++i) {
      if ((node.op->traits.mutates >> i & 1) == 0) continue;
      updates[excerpt_.values[excerpt_.inputs_of(node)[i]].base].push_back(n);
      const TaskId task = plan_.first_update_task;
      if (task == TaskId::none || step_of_[n] < plan_.tasks[task].first_step) {
        fail(step_of_[n], "updates a parameter before all else has run");
      }
    }
  }
  for (const PlanNode n : excerpt_.nodes.ids()) {
    for (const PlanValue input : excerpt_.inputs_of(excerpt_.nodes[n])) {
      const auto of_leaf = updates.find(excerpt_.values[input].base);
      if (of_leaf == updates.end()) continue;
      // Checking the nearest updates before and after suffices: the updates themselves are in
      // order.
      const std::vector<PlanNode>& all = of_leaf->second;
      const auto before = std::lower_bound(all.begin(), all.end(), n);
      const auto after = std::upper_bound(all.begin(), all.end(), n);
      if (before != all.begin()) check_in_turn(*std::prev(before), n);
      if (after != all.end()) check_in_turn(n, *after);
    }
  }
}

void StepChecker::check_tasks() const {
  IdVector<StepId, TaskId> task_of;
  for (const TaskId t : plan_.tasks.ids()) {
    if (plan_.tasks[t].first_step != task_of.next())
      throw Error({.op = "plan", .detail = "a task begins out of order"});
    task_of.insert(task_of.end(), plan_.tasks[t].steps, t);
  }
  if (task_of.size() != plan_.steps.size())
    throw Error({.op = "plan", .detail = "the tasks do not hold every step"});
  for (const StepId s : plan_.steps.ids()) {
    const Plan::Step& step = plan_.steps[s];
    if (step.chain.steps == 0 && task_of[s] != task_of[chain_of_[s]]) {
      fail(s, "is in another task than its chain");
    }
    for (const StepId other : step.after) {
      const auto& next = plan_.tasks[task_of[other]].successors;
      if (task_of[other] == task_of[s]) continue;
      if (std::find(next.begin(), next.end(), task_of[s]) == next.end()) {
        fail(s, "is in a task that does not wait for that of", other);
      }
    }
  }
}

void StepChecker::fail(StepId s, std::string_view what) const {
  throw Error({.op = "plan",
               .detail = fmt::format("step {} ({}) {}", index(s), plan_.steps[s].label(), what)});
}

void StepChecker::fail(StepId s, std::string_view what, StepId other) const {
  fail(s, fmt::format("{} step {} ({})", what, index(other), plan_.steps[other].label()));
}

bool StepChecker::waits_for(StepId s, StepId other) {
  if (++round_ == 0) {
    std::fill(seen_.begin(), seen_.end(), 0);
    round_ = 1;
  }
  seen_.resize(plan_.steps.size(), 0);
  stack_.assign(1, s);
  while (!stack_.empty()) {
    // The steps of a chain run together.
    const StepId step = stack_.back(), first = chain_of_[step];
    stack_.pop_back();
    for (StepId m = first; m < first + plan_.steps[first].chain.steps && m <= s; ++m) {
      const auto& after = plan_.steps[m].after;
      for (auto before = std::lower_bound(after.begin(), after.end(), other); before != after.end();
           ++before) {
        if (*before == other) return true;
        if (std::exchange(seen_[*before], round_) != round_) stack_.push_back(*before);
      }
    }
  }
  return false;
}

void StepChecker::find_steps() {
  step_of_.assign(excerpt_.nodes.size(), StepId::none);
  chain_of_.resize(plan_.steps.size());
  StepId chain{};
  for (const StepId s : plan_.steps.ids()) {
    const Plan::Step& step = plan_.steps[s];
    if (step.chain.steps > 0) chain = s;
    chain_of_[s] = chain;
    for (const StepId other : step.after) {
      if (other >= s) fail(s, "waits for the later", other);
    }
    for (const PlanNode node : nodes_of(step)) {
      if (step_of_[node] != StepId::none)
        fail(s, "computes again what is computed by", step_of_[node]);
      step_of_[node] = s;
    }
  }
  for (const PlanNode node : step_of_.ids()) {
    if (step_of_[node] != StepId::none) continue;
    throw Error({.op = "plan",
                 .detail = fmt::format("no step computes node {} ({})", index(node),
                                       excerpt_.nodes[node].op->name)});
  }
}

void StepChecker::check_leader(StepId s) const {
  const Plan::Step& step = plan_.steps[s];
  const auto nodes = nodes_of(step);
  if (std::find(nodes.begin(), nodes.end(), step.node) == nodes.end()) {
    fail(s, "is led by a node that it does not compute");
  }
  const Excerpt::Node& leader = excerpt_.nodes[step.node];
  const auto words = excerpt_.words_of(leader);
  const auto own = plan_.words.begin() + step.first_word;
  if (step.op != leader.op || !std::equal(words.begin(), words.end(), own, own + step.words)) {
    fail(s, "calls another operator than its node, or with other words");
  }
  if (nodes.size() == 1) return;
  if (step.op->cpu.pointwise == nullptr) return check_residual(s);
  for (const PlanNode n : nodes) {
    const Excerpt::Node& node = excerpt_.nodes[n];
    if (node.op->cpu.pointwise != step.op->cpu.pointwise ||
        excerpt_.recorded(node.first_value).shape != excerpt_.recorded(leader.first_value).shape) {
      fail(s, "fuses nodes of other shapes, or of another kind");
    }
  }
}

void StepChecker::check_residual(StepId s) const {
  const Plan::Step& step = plan_.steps[s];
  const auto nodes = nodes_of(step);
  const Excerpt::Node &leader = excerpt_.nodes[step.node], &sum = excerpt_.nodes[nodes.back()];
  const auto parts = excerpt_.inputs_of(sum);
  const bool adds = nodes.size() == 2 && step.op->cpu.fuses_residual != nullptr &&
                    step.op->cpu.fuses_residual(excerpt_.words_of(leader)) &&
                    sum.op->traits.is_sum && step.inputs == leader.inputs + 1 &&
                    step.outputs == 1 && plan_.view_values[step.first_output] == sum.first_value;
  if (!adds) fail(s, "is made of nodes that are no sum of what it makes");
  const PlanValue other = plan_.view_values[step.first_input + (step.inputs - 1)];
  const PlanValue made = leader.first_value;
  const bool both =
      (parts[0] == made && parts[1] == other) || (parts[1] == made && parts[0] == other);
  const Value &v = excerpt_.recorded(other), &w = excerpt_.recorded(made);
  if (!both || other == made || v.dtype != w.dtype || v.shape != w.shape) {
    fail(s, "adds something else than its sum");
  }
}

void StepChecker::check_chain(StepId s) const {
  const Plan::Step &step = plan_.steps[s], &first = plan_.steps[chain_of_[s]];
  if (first.chain.steps <= 1) return;
  const RowExtent& rows = step.rows;
  const bool agrees = step.rowwise() != nullptr && step.op->traits.mutates == 0 &&
                      rows.count * rows.width == first.rows.count * first.rows.width &&
                      first.chain.unit > 0 && rows.block * rows.width > 0 &&
                      first.chain.unit % (rows.block * rows.width) == 0 &&
                      first.chain.elements % first.chain.unit == 0;
  if (!agrees) fail(s, "has other rows than its chain");
}

void StepChecker::check_given() const {
  IdVector<PlanValue, bool> given(excerpt_.values.size(), false);
  for (const PlanValue value : plan_.given) given[value] = true;
  for (const PlanValue value : plan_.view_values) {
    const PlanValue base = excerpt_.values[value].base;
    if (excerpt_.computed(base) || given[base]) continue;
    throw Error({.op = "plan",
                 .detail = fmt::format("value {} is read, and not among those that are given",
                                       index(base))});
  }
  std::vector<PlanValue> updated;
  for (const Excerpt::Node& node : excerpt_.nodes) {
    for (uint32_t i = 0; i < node.inputs && i < 32; ++i) {
      if ((node.op->traits.mutates >> i & 1) == 0) continue;
      updated.push_back(excerpt_.values[excerpt_.inputs_of(node)[i]].base);
    }
  }
  if (!std::is_permutation(updated.begin(), updated.end(), plan_.updated.begin(),
                           plan_.updated.end())) {
    throw Error({.op = "plan", .detail = "what it updates is not what it says"});
  }
}

void StepChecker::check_operands(StepId s) const {
  const Plan::Step& step = plan_.steps[s];
  const auto reads = plan_.view_values.slice(step.first_input, step.inputs);
  const auto writes = plan_.view_values.slice(step.first_output, step.outputs);
  std::vector<bool> used(reads.size(), false);
  size_t next = 0;
  for (const PlanNode n : nodes_of(step)) {
    for (const PlanValue input : excerpt_.inputs_of(excerpt_.nodes[n])) {
      const PlanNode maker = excerpt_.values[input].node;
      if (maker != PlanNode::none && step_of_[maker] == s) {
        if (!excerpt_.values[input].whole || maker >= n) fail(s, "reads a view of its own result");
        continue;
      }
      if (step.nodes == 1 && step.op->cpu.pointwise == nullptr) {
        if (next >= reads.size() || reads[next] != input)
          fail(s, "has other operands than its node");
        used[next++] = true;
        continue;
      }
      const auto at = std::find(reads.begin(), reads.end(), input);
      if (at == reads.end()) fail(s, "lacks an operand of one of its nodes");
      for (size_t r = 0; r < reads.size(); ++r) used[r] = used[r] || reads[r] == input;
    }
  }
  if (std::count(used.begin(), used.end(), false) > 0)
    fail(s, "reads what none of its nodes reads");
  for (const PlanValue value : writes) {
    const Excerpt::Value& v = excerpt_.values[value];
    if (!v.whole || step_of_[v.node] != s) fail(s, "writes what none of its nodes makes");
  }
}

void StepChecker::check_in_turn(PlanNode first_node, PlanNode second_node) {
  const StepId first = step_of_[first_node], second = step_of_[second_node];
  if (first == second) fail(first, "reads a parameter before and after its update");
  if (!waits_for(second, first)) fail(second, "does not wait for the update or reader", first);
}

}  // namespace rapt::internal
