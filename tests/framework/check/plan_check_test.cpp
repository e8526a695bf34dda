// The plan checker: it passes what the planner makes, and finds each kind of fault that is put in.
#include "framework/check/plan_check.hpp"

#include <rapt/rapt.hpp>

#include "framework/plan/planner.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

/// Two products and elementwise work on both, an update of `weight`, and a reader of it.
struct Recorded {
  Parameter weight{full({16, 16}, 0.5)};
  Tape tape;
  Extractor extractor;
  Excerpt excerpt;
  std::shared_ptr<Plan> plan;

  explicit Recorded(bool update = false, int64_t spare = 0) {
    Sgd sgd({weight}, {.lr = 0.1});
    const Var x = as_var(full({16, 16}, 0.25));
    const Var a = matmul(x, weight), b = matmul(tanh(a), x), c = softmax(a + b);
    const Var loss = sum(c * c * b);
    std::vector<ValueId> targets{loss.id()};
    if (update) {
      // The step is not run: what it records is planned here.
      const Var gradient = grad(loss, std::vector<Parameter>{weight})[0];
      targets.push_back(record(write_op, {as_var(weight), gradient}).id());
    }
    excerpt = extractor.extract(tape.graph(), targets);
    plan = make_plan(excerpt, {.fuse = true, .spare_bytes = spare});
  }

  StepId step_named(std::string_view name) const {
    for (const StepId s : plan->steps.ids()) {
      if (plan->steps[s].op->name == name) return s;
    }
    FAIL("no step is called " << name);
    return StepId::none;
  }

  static const Op write_op;
};

const Op Recorded::write_op{.name = "write",
                            .shape = [](ShapeContext& c) { c.output({0}, DType::float64); },
                            .traits = {.mutates = 0b1},
                            .cpu = {.forward = [](const ForwardContext& c) {
                              for (int64_t i = 0; i < c.input(0).size(); ++i) {
                                c.input(0).as<float>()[i] -= c.input(1).as<const float>()[i];
                              }
                            }}};

TEST_CASE("what the planner makes passes") {
  for (const bool update : {false, true}) {
    for (const int64_t spare : {int64_t{0}, int64_t{1} << 20}) {
      const Recorded r(update, spare);
      CHECK_NOTHROW(check_plan(r.excerpt, *r.plan));
    }
  }
}

TEST_CASE("a step that does not wait for what it reads is found") {
  const Recorded r;
  for (Plan::Step& step : r.plan->steps) {
    if (step.after.empty()) continue;
    // Waits that follow from others may be left out; the last one mostly does not.
    const std::span<const StepId> all = step.after;
    step.after = all.first(all.size() - 1);
    CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("wait"));
    step.after = all;
  }
  CHECK_NOTHROW(check_plan(r.excerpt, *r.plan));
}

TEST_CASE("a wait for a later step is found") {
  const Recorded r;
  const StepId later[] = {r.plan->steps.last()};
  r.plan->steps.front().after = later;
  CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("waits for the later step"));
}

TEST_CASE("a step that looks at another place is found, and names itself") {
  const Recorded r;
  const StepId s = r.step_named("softmax");
  r.plan->sources[r.plan->steps[s].first_input].offset += 64;
  CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan),
                    Contains("softmax") && Contains("does not lie"));
}

TEST_CASE("memory that is given out while somebody needs it is found") {
  // The second product's result lies over the first one's, which is read after it.
  const Recorded r;
  Plan& plan = *r.plan;
  std::vector<StepId> products;
  for (const StepId s : plan.steps.ids()) {
    if (plan.steps[s].op->name == "matmul") products.push_back(s);
  }
  REQUIRE(products.size() >= 2);
  const int64_t to = plan.sources[plan.steps[products[0]].first_output].offset;
  const PlanValue value = plan.view_values[plan.steps[products[1]].first_output];
  for (const ViewId v : plan.views.ids()) {
    if (plan.view_values[v] == value) plan.sources[v].offset = to;
  }
  CHECK_THROWS_WITH(check_plan(r.excerpt, plan), Contains("is not there"));
}

TEST_CASE("a node that no step computes, or two, is found") {
  {
    const Recorded r;
    r.plan->steps.pop_back();
    CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("no step computes node"));
  }
  const Recorded r;
  r.plan->step_nodes.back() = r.plan->step_nodes.front();
  CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("computes again"));
}

TEST_CASE("an operand of another step is found") {
  const Recorded r;
  Plan& plan = *r.plan;
  const Plan::Step& product = plan.steps[r.step_named("matmul")];
  std::swap(plan.view_values[product.first_input], plan.view_values[product.first_input + 1]);
  CHECK_THROWS_WITH(check_plan(r.excerpt, plan), Contains("other operands than its node"));
}

TEST_CASE("an update that does not wait for the readers of the old value is found") {
  const Recorded r(true);
  Plan& plan = *r.plan;
  Plan::Step& write = plan.steps[r.step_named("write")];
  const auto all = write.after;
  write.after = {};
  CHECK_THROWS_WITH(check_plan(r.excerpt, plan), Contains("wait"));
  write.after = all;
  plan.first_update_task = TaskId::none;
  CHECK_THROWS_WITH(check_plan(r.excerpt, plan), Contains("before all else has run"));
}

TEST_CASE("tasks that do not wait as their steps do are found") {
  const Recorded r;
  Plan& plan = *r.plan;
  plan.tasks.clear();
  for (const StepId s : plan.steps.ids()) plan.tasks.push_back({s, 1, {}});
  for (Plan::Step& step : plan.steps) step.chain = {};
  CHECK_THROWS_WITH(check_plan(r.excerpt, plan), Contains("in a task that does not wait"));
  plan.tasks.pop_back();
  CHECK_THROWS_WITH(check_plan(r.excerpt, plan), Contains("do not hold every step"));
}

TEST_CASE("a wanted value that is not made is found") {
  const Recorded r;
  r.plan->wanted.clear();
  CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("is not made"));
}

TEST_CASE("memory that the plan does not have is found") {
  const Recorded r;
  r.plan->arena_bytes -= 64;
  CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("outside of what the plan has"));
}

TEST_CASE("a result that is another value's, or has another shape, is found") {
  const Recorded r;
  r.plan->results[0].dtype = DType::float64;
  CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("result 0 is not value"));
}

TEST_CASE("an operand that is overwritten by an operator that may not is found") {
  const Recorded r;
  Plan& plan = *r.plan;
  const Plan::Step& last = plan.steps[r.step_named("sum")];
  const Plan::Step& product = plan.steps[r.step_named("matmul")];
  // Its output moves to where it reads another value of the arena.
  for (const Plan::Step& step : plan.steps) {
    if (step.op->cpu.pointwise != nullptr || step.op == last.op || &step == &product) continue;
    for (uint32_t i = 0; i < step.inputs; ++i) {
      const Plan::Source from = plan.sources[step.first_input + i];
      if (from.place != Plan::Place::arena || (step.op->traits.in_place >> i & 1) != 0) continue;
      const IdVector<ViewId, Plan::Source> sources = plan.sources;
      const PlanValue value = plan.view_values[step.first_output];
      for (const ViewId v : plan.views.ids()) {
        if (plan.view_values[v] == value) plan.sources[v] = from;
      }
      CHECK_THROWS_WITH(check_plan(r.excerpt, plan), Contains("overwrites what it reads"));
      plan.sources = sources;
      return;
    }
  }
  FAIL("no step reads from the arena and may not write there");
}

TEST_CASE("a step with other words than its node's is found") {
  const Recorded r;
  r.plan->words[r.plan->steps[r.step_named("softmax")].first_word] += 1;
  CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("with other words"));
}

TEST_CASE("a value that is read and not given, or updated and not noted, is found") {
  {
    const Recorded r;
    r.plan->given.pop_back();
    CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("not among those that are given"));
  }
  const Recorded r(true);
  r.plan->updated.clear();
  CHECK_THROWS_WITH(check_plan(r.excerpt, *r.plan), Contains("what it updates"));
}

TEST_CASE("a sum made by a product that somebody else reads is found") {
  Tape tape;
  const Var x = as_var(full({16, 16}, 0.25)), product = matmul(x, x), y = softmax(x);
  const std::vector<ValueId> targets{sum(product + y).id()};
  Extractor extractor;
  const Excerpt& excerpt = extractor.extract(tape.graph(), targets);
  const std::shared_ptr<Plan> plan = make_plan(excerpt, {});
  CHECK_NOTHROW(check_plan(excerpt, *plan));
  for (Plan::Step& step : plan->steps) {
    if (step.op->name != "matmul") continue;
    REQUIRE(step.nodes == 2);
    std::swap(plan->view_values[step.first_input], plan->view_values[step.first_input + 2]);
    CHECK_THROWS_WITH(check_plan(excerpt, *plan), Contains("adds something else than its sum"));
  }
}

}  // namespace
}  // namespace rapt
