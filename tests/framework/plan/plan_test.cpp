// Plans: what is computed, in which memory, in how many steps, and how plans are found again.
#include <rapt/rapt.hpp>

#include "framework/plan/arena.hpp"
#include "framework/plan/plan_cache.hpp"
#include "framework/plan/plan_tasks.hpp"
#include "framework/plan/waits.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

std::shared_ptr<const Plan> plan_of(Executor& executor, std::initializer_list<Var> targets) {
  return executor.plan(std::span(targets.begin(), targets.size()));
}

constexpr int64_t n = 1 << 14;
constexpr int64_t buffer = n * 4;

TEST_CASE("only what is needed is computed") {
  Executor executor;
  Tape tape;
  const Var x = as_var(zeros({n}));
  const Var y = sum(x);
  (void)matmul(reshape(x, {128, 128}), reshape(x, {128, 128}));
  CHECK(plan_of(executor, {y})->steps.size() == 1);
}

TEST_CASE("a deep chain needs memory for a few values, fused or not") {
  for (const bool fuse : {true, false}) {
    Executor executor({.fuse = fuse});
    Tape tape;
    Var y = as_var(zeros({n}));
    const Var c = as_var(zeros({n}));
    for (int i = 0; i < 1000; ++i) y = y * c + c;
    const auto plan = plan_of(executor, {sum(y)});
    INFO(plan->arena_bytes);
    CHECK(plan->arena_bytes <= 3 * buffer);
    if (fuse) {
      CHECK(plan->steps.size() < 20);
    } else {
      CHECK(plan->steps.size() == 2001);
    }
  }
}

TEST_CASE("a chain of products needs two live buffers, not one a link") {
  Executor executor;
  Tape tape;
  const Var w = as_var(zeros({128, 128}));
  Var y = w;
  for (int i = 0; i < 50; ++i) y = matmul(y, w);
  CHECK(plan_of(executor, {sum(y)})->arena_bytes <= 3 * 128 * 128 * 4);
}

TEST_CASE("elementwise work runs where its operand lies") {
  Executor executor;
  Tape tape;
  const Var w = as_var(zeros({128, 128}));
  const Var y = tanh(matmul(w, w));
  const Var z = matmul(y, w);
  const auto plan = plan_of(executor, {sum(z)});
  const auto& product = plan->steps[StepId{0}];
  const auto& activation = plan->steps[StepId{1}];
  CHECK(plan->sources[activation.first_output].offset ==
        plan->sources[product.first_output].offset);
}

TEST_CASE("an operand that is read again keeps its memory") {
  Tape tape;
  const Var x = as_var(full({64, 64}, 0.5));
  const Var y = matmul(x, x);
  const Var z = exp(y);
  const Var both = sum(matmul(z, y)) + sum(y);
  // every element of y is 16, of z e^16
  CHECK(both.item() == Approx(64.0 * 64 * 64 * 16 * std::exp(16.0) + 64 * 64 * 16).epsilon(1e-5));
}

TEST_CASE("values that are wanted do not lie in memory that is reused") {
  Tape tape;
  const Var x = as_var(full({n}, 2));
  const Var a = x * 3, b = exp(a), c = b + a;
  Executor::current().run({a, c, sum(c)});
  CHECK(a.value().to_vector<float>()[17] == 6);
  CHECK(c.value().to_vector<float>()[17] == Approx(std::exp(6.0) + 6));
}

TEST_CASE("fusion never makes two steps need each other") {
  // a and d are of one shape, but between them lies a product that reads a.
  Tape tape;
  const Var x = as_var(full({32, 32}, 0.1));
  const Var a = x + 1;
  const Var b = matmul(a, a);
  const Var d = a * b;
  const Var e = transpose(d) + a;
  Executor plain({.fuse = false});
  std::vector<float> expected;
  {
    const Executor::Use use(plain);
    Tape other;
    const Var x2 = as_var(full({32, 32}, 0.1));
    const Var a2 = x2 + 1;
    expected = (transpose(a2 * matmul(a2, a2)) + a2).value().to_vector<float>();
  }
  CHECK(e.value().to_vector<float>() == expected);
}

TEST_CASE("plans are found again by structure alone") {
  Executor executor({.threads = 1});
  const Executor::Use use(executor);
  const auto step = [](double value, int64_t rows, double factor) {
    Tape tape;
    return sum(as_var(full({rows, 3}, value)) * factor).item();
  };
  CHECK(step(1, 4, 2) == 24);
  CHECK(step(2, 4, 2) == 48);
  CHECK(step(2, 4, 3) == 72);  // numbers are values, not structure
  CHECK(executor.counters().plans_made == 1);
  CHECK(executor.counters().plans_reused == 2);
  CHECK(step(1, 5, 2) == 30);
  CHECK(executor.counters().plans_made == 2);
}

TEST_CASE("the cache is bounded, and drops what was unused for longest") {
  Executor executor({.threads = 1, .plan_capacity = 2});
  const Executor::Use use(executor);
  const auto step = [](int64_t rows) {
    Tape tape;
    return sum(as_var(full({rows}, 1))).item();
  };
  for (const int64_t rows : {1, 2, 1, 3, 1, 2}) CHECK(step(rows) == static_cast<double>(rows));
  const ExecutorCounters counters = executor.counters();
  CHECK(counters.plans_made == 4);  // 1, 2, 3, and 2 again, which 3 had pushed out
  CHECK(counters.plans_reused == 2);
  CHECK(counters.plans_dropped == 2);
}

TEST_CASE("running a plan does not change it") {
  Executor executor;
  const Executor::Use use(executor);
  Tape tape;
  const Var y = sum(as_var(full({3}, 2)) * 2);
  const std::shared_ptr<const Plan> plan = executor.plan({&y, 1});
  const auto addresses = [&] {
    return std::count_if(plan->views.begin(), plan->views.end(),
                         [](const TensorView& view) { return view.data != nullptr; });
  };
  CHECK(addresses() == 0);
  CHECK(y.item() == 12);
  CHECK(executor.counters().plans_reused == 1);  // run() used this plan
  CHECK(addresses() == 0);
}

TEST_CASE("each pass of the planner says what it made") {
  Executor executor;
  const Executor::Use use(executor);
  Tape tape;
  const Var x = as_var(full({2, 3}, 2)), w = as_var(full({3, 3}, 1));
  const Var h = softmax(x), y = matmul(h, w) + h;
  const Var z = exp(w) * 2;
  const Var wanted[] = {y, z};
  const std::string text = executor.explain(wanted);
  INFO(text);
  CHECK_THAT(text, Contains("excerpt: 5 nodes"));
  CHECK_THAT(text, Contains("units: 3 of 5 nodes"));
  CHECK_THAT(text, Contains("u1 residual: #1 matmul #2 add"));
  CHECK_THAT(text, Contains("u2 elementwise: #3 exp #4 mul"));
  CHECK_THAT(text, Contains("order: u0 u1 u2"));
  CHECK_THAT(text, Contains("s1 matmul + add:"));
  CHECK_THAT(text, Contains("memory: "));
  CHECK(executor.counters().plans_made == 0);
}

TEST_CASE("an equal hash is no hit unless every word agrees") {
  PlanCache cache(4);
  const std::vector<uint64_t> a{1, 2, 3};
  cache.add(a, std::make_shared<CachedPlan>());
  CHECK(cache.find(a) != nullptr);
  const std::vector<uint64_t> b{1, 2, 4}, c{1, 2};
  CHECK(cache.find(b) == nullptr);
  // Two structures of one hash: the second word makes up for the first.
  constexpr uint64_t odd = 0x9e3779b97f4a7c15;
  const std::vector<uint64_t> x{10, 77}, y{11, 77 ^ ((0x2 ^ 0xa) * odd) ^ ((0x2 ^ 0xb) * odd)};
  REQUIRE(hash_words(x) == hash_words(y));
  cache.add(x, std::make_shared<CachedPlan>());
  CHECK(cache.find(x) != nullptr);
  CHECK(cache.find(y) == nullptr);
  CHECK(cache.find(c) == nullptr);
}

using Steps = std::vector<StepId>;

Steps steps(std::initializer_list<uint32_t> numbers) {
  Steps list;
  for (const uint32_t number : numbers) list.push_back(StepId{number});
  return list;
}

void give(ArenaLayout& arena, int64_t offset, int64_t bytes, uint32_t user) {
  const StepId step{user};
  arena.give(offset, bytes, {&step, 1});
}

TEST_CASE("the arena gives freed memory out again and says whom to wait for") {
  ArenaLayout arena;
  Steps after;
  const auto nothing = [](StepId) { return false; };
  const int64_t a = arena.take(128, nothing, after), b = arena.take(64, nothing, after);
  CHECK(after.empty());
  CHECK(arena.size() == 192);
  give(arena, a, 128, 7);
  const int64_t c = arena.take(64, nothing, after);
  CHECK(c == a);
  CHECK(after == steps({7}));
  after.clear();
  give(arena, b, 64, 9);
  CHECK(arena.take(128, nothing, after) == a + 64);  // the rest of a and all of b, side by side
  CHECK(after == steps({7, 9}));
  CHECK(arena.size() == 192);
}

TEST_CASE("an arena with memory to spare grows in place of making a step wait") {
  ArenaLayout arena(100);
  Steps after;
  const auto first = [](StepId step) { return step == StepId{1}; };
  const int64_t a = arena.take(64, first, after), b = arena.take(64, first, after);
  give(arena, a, 64, 1);
  give(arena, b, 64, 2);
  CHECK(arena.take(64, first, after) == a);  // its user has run
  CHECK(after == steps({1}));
  after.clear();
  CHECK(arena.take(64, first, after) == 128);
  CHECK(after.empty());
  CHECK(arena.spare() == 36);
  CHECK(arena.take(64, first, after) == b);  // nothing is left to spare
  CHECK(after == steps({2}));
  CHECK(arena.size() == 192);
  // At the end it grows by as much as another would have needed less.
  after.clear();
  give(arena, 128, 64, 2);
  CHECK(arena.take(96, first, after) == 128);
  CHECK(after == steps({2}));
  ArenaLayout other(64);
  const int64_t c = other.take(64, first, after);
  after.clear();
  give(other, c, 64, 2);
  CHECK(other.take(96, first, after) == 64);
  CHECK(after.empty());
  CHECK(other.spare() == 0);
}

TEST_CASE("what has run before a step follows from whom it waits for") {
  Waits waits;
  waits.add({});
  waits.add(steps({0}));
  waits.add({});
  waits.add(steps({1}));
  waits.follow(steps({3}));
  CHECK(waits.has_run(StepId{0}));
  CHECK(waits.has_run(StepId{1}));
  CHECK_FALSE(waits.has_run(StepId{2}));
  CHECK(waits.has_run(StepId{3}));
  waits.follow(steps({2}));
  CHECK_FALSE(waits.has_run(StepId{0}));
  CHECK(waits.has_run(StepId{2}));
}

TEST_CASE("who waits for whom is right at any distance that is looked at") {
  // Random waits, against a plain search over all of them.
  IdVector<StepId, Steps> after;
  Waits waits;
  for (uint32_t s = 0; s < 3000; ++s) {
    const Key key = Key{5}.fold(s);
    Steps mine;
    for (uint32_t i = 0; s > 0 && i < 2; ++i) {
      const double u = uniform(key.fold(i), {}, 0, 1, DType::float64).item();
      const double reach = i == 0 ? 3 : 1500;
      mine.push_back(StepId{s - 1 - static_cast<uint32_t>(u * std::min<double>(s, reach))});
    }
    std::sort(mine.begin(), mine.end());
    after.push_back(mine);
    if (s % 97 == 0) {
      waits.follow(mine);
      IdVector<StepId, bool> run(s + 1, false);
      for (const StepId step : mine) run[step] = true;
      for (uint32_t t = s; t-- > 0;) {
        if (!run[StepId{t}]) continue;
        for (const StepId step : after[StepId{t}]) run[step] = true;
      }
      // What waits lead to through steps farther back than it looks may be missing.
      for (uint32_t t = s < 1000 ? 0 : s - 1000; t < s; ++t) {
        INFO(s << " " << t);
        REQUIRE(waits.has_run(StepId{t}) == run[StepId{t}]);
      }
    }
    waits.add(mine);
  }
  CHECK(waits.has_run(StepId{1}));  // too far back to be looked at
}

TEST_CASE("a step may be as late as the longest way through it is short") {
  Plan plan;
  plan.steps.resize(4);
  const double costs[] = {10, 5, 1, 2};
  for (const StepId s : plan.steps.ids()) plan.steps[s].cost = costs[index(s)];
  const StepId first[] = {StepId{0}}, second[] = {StepId{1}};
  plan.steps[StepId{1}].after = first;
  plan.steps[StepId{2}].after = first;
  plan.steps[StepId{3}].after = second;
  find_slack(plan);
  const double wanted[] = {0, 0, 6, 0};
  for (const StepId s : plan.steps.ids()) CHECK(plan.steps[s].slack == wanted[index(s)]);
}

TEST_CASE("side by side, a step takes memory of its own before it waits for another's reader") {
  for (const int threads : {1, 2}) {
    Executor executor({.threads = threads});
    Tape tape;
    const Var x = softmax(as_var(zeros({64, 64})));
    const Var product = matmul(x, x);
    const Var y = exp(x);  // could lie where x does
    const auto plan = plan_of(executor, {sum(product), sum(y)});
    const auto step_named = [&](std::string_view name) {
      const auto found = std::find_if(plan->steps.begin(), plan->steps.end(),
                                      [&](const auto& step) { return step.op->name == name; });
      REQUIRE(found != plan->steps.end());
      return StepId{static_cast<uint32_t>(found - plan->steps.begin())};
    };
    const std::span<const StepId> after = plan->steps[step_named("exp")].after;
    const bool waits = std::find(after.begin(), after.end(), step_named("matmul")) != after.end();
    CHECK(waits == (threads == 1));
  }
}

TEST_CASE("a plan prints its steps and draws them") {
  Executor executor;
  Tape tape;
  Linear layer(3, 4, Key{1});
  (void)parameters(layer);
  const Var loss = sum(tanh(layer(as_var(zeros({2, 3})))) * 2);
  const auto plan = plan_of(executor, {loss});
  const std::string text = plan->to_string(tape.graph());
  CHECK_THAT(text, Contains("linear") && Contains("[2, 4]") && Contains("plan_test.cpp:"));
  const std::string dot = plan->to_dot(tape.graph());
  CHECK_THAT(dot, Contains("digraph") && Contains("weight") && Contains("->"));
}

TEST_CASE("a mutating step waits for every reader, also in parallel") {
  Parameter p(full({n}, 1));
  for (const int threads : {1, 2, 8}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    p.set(full({n}, 1));
    Sgd sgd({p}, {.lr = 0.5});
    Tape tape;
    const Var loss = sum(p * 3.0);
    const Var late = sum(exp(p));
    sgd.step(loss, {late});
    CHECK(loss.item() == 3 * n);
    CHECK(late.item() == Approx(n * std::exp(1.0)).epsilon(1e-5));
    CHECK(p.value().data<float>()[5] == -0.5f);
  }
}

}  // namespace
}  // namespace rapt
