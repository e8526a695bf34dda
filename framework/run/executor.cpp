#include "framework/run/executor.hpp"

#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "framework/check/plan_check.hpp"
#include "framework/core/block_pool.hpp"
#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/core/out_of_memory.hpp"
#include "framework/core/parallel.hpp"
#include "framework/core/recycled.hpp"
#include "framework/plan/plan_cache.hpp"
#include "framework/run/reference.hpp"
#include "framework/run/run.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

thread_local Executor* current_executor = nullptr;

/// Extra arena memory, in bytes, that a plan may use if its steps run in parallel.
constexpr int64_t spare_bytes = int64_t{1} << 24;

const ExecutorOptions& checked(const ExecutorOptions& options) {
  check_at_least("Executor", "threads", options.threads, 0);
  check_at_least("Executor", "plan_capacity", options.plan_capacity, 0);
  if (std::isnan(options.parallel_from)) {
    throw Error({.op = "Executor", .detail = "parallel_from is nan, expected a number"});
  }
  return options;
}

/// Marks a parameter as changed after an update. Earlier recordings of it are then out of date.
void note_update(const Graph& graph, ValueId value) {
  const Leaf& leaf = graph.leaves[graph.nodes[graph.values[value].node].leaf()];
  if (leaf.parameter) ++leaf.parameter->version;
}

}  // namespace

struct Executor::State {
  explicit State(const ExecutorOptions& o)
      : options(o),
        plans(o.plan_capacity),
        arena(o.threads > 0 ? o.threads : tbb::task_arena::automatic) {
    // TBB makes no more workers than there are processors, unless it is told to.
    if (o.threads > tbb::info::default_concurrency()) {
      more_workers.emplace(tbb::global_control::max_allowed_parallelism,
                           static_cast<size_t>(o.threads));
    }
  }

  ExecutorOptions options;
  PlanCache plans;
  std::optional<tbb::global_control> more_workers;
  tbb::task_arena arena;
  const int own_workers = arena.max_concurrency();
  ExecutorCounters counters;
  BlockPool blocks;
  std::shared_ptr<std::byte> memory;
  int64_t memory_bytes = 0;
  Extractor extractor;
  std::vector<uint64_t> key;
  std::vector<ValueId> targets;
  IdVector<PlanNode, NodeId> nodes;     // of the excerpt that runs
  IdVector<PlanValue, ValueId> values;  // of the excerpt that runs
  bool running = false;
  bool updating = false;  // true once the run has reached its updates

  int workers() const {
    return options.callers_arena ? tbb::this_task_arena::max_concurrency() : own_workers;
  }

  PlanOptions plan_options() const {
    return {.fuse = options.fuse, .spare_bytes = workers() > 1 ? spare_bytes : 0};
  }

  /// Returns a plan for the targets. If no value of the tape was computed before, the recording's
  /// structure is the key, and the tape's own numbers are used. Otherwise, the key is the excerpt
  /// that is still to be computed.
  Planned plan_for(const Graph& graph, PlanOptions plan_options) {
    const bool fresh = graph.results.empty();
    const Excerpt* excerpt = nullptr;
    key.clear();
    if (fresh) {
      key.assign(graph.structure.begin(), graph.structure.end());
      for (const ValueId target : targets) key.push_back(index(target));
    } else {
      excerpt = &extractor.extract(graph, targets);
      plan_options.keep = is_worth_keeping(*excerpt);
      excerpt->append_key(key);
    }
    key.push_back(targets.size() << 4 | static_cast<uint64_t>(fresh) << 3 |
                  static_cast<uint64_t>(plan_options.keep) << 2 |
                  static_cast<uint64_t>(plan_options.fuse) << 1 |
                  static_cast<uint64_t>(plan_options.spare_bytes > 0));
    std::shared_ptr<CachedPlan> cached = plans.find(key);
    if (cached != nullptr) {
      ++counters.plans_reused;
      if (options.check_plans && excerpt != nullptr) check_plan(*excerpt, *cached->plan);
    } else {
      if (excerpt == nullptr) excerpt = &extractor.extract(graph, targets);
      cached = std::make_shared<CachedPlan>(CachedPlan{make_plan(*excerpt, plan_options)});
      if (options.check_plans) check_plan(*excerpt, *cached->plan);
      ++counters.plans_made;
      plans.add(key, cached);
    }
    if (fresh) return {cached, cached->plan->nodes, cached->plan->values};
    nodes.clear();
    values.clear();
    for (const Excerpt::Node& node : excerpt->nodes) nodes.push_back(node.id);
    for (const Excerpt::Value& value : excerpt->values) values.push_back(value.id);
    return {cached, nodes, values};
  }

  /// True if the computed values are likely to be needed again. This is so if the excerpt begins
  /// inside a part that has run, or uses values that the latest run kept. A loop that asks for a
  /// value in each step then computes only what is new. Independent values, one after the other,
  /// keep nothing.
  static bool is_worth_keeping(const Excerpt& excerpt) {
    if (excerpt.updates || excerpt.nodes.empty()) return false;
    const Graph& graph = *excerpt.graph;
    return excerpt.nodes.front().id < graph.ran_to ||
           std::any_of(excerpt.values.begin(), excerpt.values.end(), [&](const auto& value) {
             return value.kind == Excerpt::Kind::known && graph.just_kept(value.id);
           });
  }

  /// The memory of one run.
  struct Bound {
    Recycled<Tensor> results;
    std::shared_ptr<std::byte> kept = nullptr;
  };

  Bound bind(const Planned& planned, const Graph& graph) {
    const Plan& plan = planned.plan();
    for (const PlanValue value : plan.given) graph.check_unchanged(planned.values[value]);
    if (plan.arena_bytes > memory_bytes) {
      memory_bytes = 0;
      memory.reset();  // frees the old block first, to limit the peak
      memory = allocate(plan.arena_bytes);
      memory_bytes = plan.arena_bytes;
    }
    Bound bound;
    // Allocates memory even if all kept values are empty, because a Tensor without memory counts as
    // none.
    if (!plan.kept.empty()) bound.kept = blocks.take(std::max<int64_t>(64, plan.kept_bytes));
    bound.results.reserve(plan.results.size());
    for (const Plan::Result& result : plan.results) {
      std::shared_ptr<std::byte> block = blocks.take(result.shape.size() * size_of(result.dtype));
      std::byte* const data = block.get();
      bound.results.emplace_back(std::move(block), data, result.dtype, result.shape,
                                 contiguous_strides(result.shape));
    }
    IdVector<ViewId, TensorView>& views = planned.cached->views;
    if (views.size() != plan.views.size()) views = plan.views;
    for (const ViewId view : views.ids()) {
      const Plan::Source& source = plan.sources[view];
      views[view].data = base_of(source, planned, graph, bound) + source.offset;
    }
    return bound;
  }

  std::byte* base_of(const Plan::Source& source, const Planned& planned, const Graph& graph,
                     const Bound& bound) const {
    switch (source.place) {
      case Plan::Place::arena:
        return memory.get();
      case Plan::Place::leaf:
        return graph.leaf_data(planned.values[source.value()]);
      case Plan::Place::known:
        return static_cast<std::byte*>(graph.result(planned.values[source.value()])->bytes());
      case Plan::Place::kept:
        return bound.kept.get();
      default:
        return static_cast<std::byte*>(bound.results[source.index].bytes());
    }
  }

  void execute(const Planned& planned, const Graph& graph, bool guard) {
    const Plan& plan = planned.plan();
    const int threads = plan.cost > options.parallel_from ? workers() : 1;
    Run run(planned, graph, guard, threads);
    run.arena = memory.get();
    updating = false;
    if (threads == 1) {
      const StepId updates = first_update_step(plan);
      run.serial(StepId{}, updates);
      updating = true;
      return run.serial(updates, plan.steps.next());
    }
    const auto all_tasks = [&] {
      const TaskId all = plan.tasks.next(), updates = plan.first_update_task;
      if (updates == TaskId::none) return run.parallel(TaskId{}, all);
      run.parallel(TaskId{}, updates);
      updating = true;
      run.parallel(updates, all);
    };
    if (options.callers_arena) return all_tasks();
    arena.execute(all_tasks);
  }

  static void note_updates(const Planned& planned, const Graph& graph) {
    for (const PlanValue leaf : planned.plan().updated) note_update(graph, planned.values[leaf]);
  }

  /// Returns the first step that is an update, or the number of steps if there is none.
  static StepId first_update_step(const Plan& plan) {
    if (plan.first_update_task == TaskId::none) return plan.steps.next();
    return plan.tasks[plan.first_update_task].first_step;
  }

  void run_reference(Graph& graph) {
    const Excerpt& excerpt = extractor.extract(graph, targets);
    std::vector<ValueId> updated;
    for (const Excerpt::Node& node : excerpt.nodes) {
      if (node.op->traits.mutates == 0) continue;
      for (uint32_t i = 0; i < node.inputs && i < 32; ++i) {
        if ((node.op->traits.mutates >> i & 1) == 0) continue;
        updated.push_back(excerpt.values[excerpt.values[excerpt.inputs_of(node)[i]].base].id);
      }
      // Keeps the results of updates, so that they do not run again.
      for (const PlanValue v : node.values()) targets.push_back(excerpt.values[v].id);
    }
    Guard guarded_results;
    // Reserves now, because nothing may fail after the updates have run.
    graph.reserve_results(targets.size());
    std::vector<Tensor> results =
        reference_run(graph, targets, options.guard ? &guarded_results : nullptr);
    if (!excerpt.nodes.empty()) graph.ran_to = std::max(graph.ran_to, excerpt.nodes.back().id + 1);
    ++counters.runs;
    for (const ValueId leaf : updated) note_update(graph, leaf);
    for (size_t i = 0; i < results.size(); ++i) graph.add_result(targets[i], std::move(results[i]));
  }

  /// Names the node at fault after a fused step failed. Runs every node separately, except for the
  /// updates.
  void find_nonfinite(const Graph& graph) {
    const Planned planned = plan_for(graph, {.fuse = false});
    const Bound bound = bind(planned, graph);
    Run run(planned, graph, true, 1);
    run.arena = memory.get();
    run.serial(StepId{}, first_update_step(planned.plan()));
  }
};

bool ExecutorOptions::checks_plans_by_default() {
#ifdef NDEBUG
  static const bool asked = [] {
    const char* text = std::getenv("RAPT_CHECK_PLANS");
    return text != nullptr && std::string_view(text) == "1";
  }();
  return asked;
#else
  return true;
#endif
}

Executor::Executor(const ExecutorOptions& options)
    : state_(std::make_unique<State>(checked(options))) {}
Executor::~Executor() = default;

Executor& Executor::current() {
  if (current_executor != nullptr) return *current_executor;
  return *or_out_of_memory(
      [] {
        thread_local Executor own;
        return &own;
      },
      [] { return ErrorParts{.detail = "out of memory for the thread's executor"}; });
}

const ExecutorOptions& Executor::options() const { return state_->options; }

ExecutorCounters Executor::counters() const {
  ExecutorCounters counters = state_->counters;
  counters.plans_dropped = state_->plans.dropped();
  counters.arena_bytes = state_->memory_bytes;
  return counters;
}

static void collect(std::span<const Var> wanted, const Graph& graph,
                    std::vector<ValueId>& targets) {
  targets.clear();
  for (const Var& var : wanted) {
    if (&var.graph() != &graph) {
      throw Error({.op = "run", .detail = "the values are on different tapes"});
    }
    if (graph.result(var.id()) == nullptr) targets.push_back(var.id());
  }
}

/// Returns the message for a failure to allocate a plan, or the values of a run without a plan.
static ErrorParts memory_short(const Var& target, const char* during) {
  const Graph& graph = target.graph();
  const Node& node = graph.nodes[graph.values[target.id()].node];
  return {.op = std::string(node.op == nullptr ? "" : node.op->name),
          .detail = fmt::format("out of memory for {} while {} recorded nodes are {}",
                                to_string(target.shape()), graph.nodes.size(), during),
          .place = graph.written_at(node)};
}

std::shared_ptr<const Plan> Executor::plan(std::span<const Var> targets) {
  if (targets.empty()) throw Error({.op = "plan", .detail = "there is nothing to compute"});
  if (state_->running) {
    throw Error(
        {.op = "plan", .detail = "this executor is running; a step must not ask for plans"});
  }
  const Graph& graph = targets.front().graph();
  return or_out_of_memory(
      [&] {
        collect(targets, graph, state_->targets);
        return state_->plan_for(graph, state_->plan_options()).cached->plan;
      },
      [&] { return memory_short(targets.front(), "planned"); });
}

std::string Executor::explain(std::span<const Var> targets) {
  std::string text;
  if (targets.empty()) throw Error({.op = "explain", .detail = "there is nothing to compute"});
  if (state_->running) throw Error({.op = "explain", .detail = "this executor is running"});
  const Graph& graph = targets.front().graph();
  collect(targets, graph, state_->targets);
  const Excerpt& excerpt = state_->extractor.extract(graph, state_->targets);
  PlanOptions options = state_->plan_options();
  options.keep = !graph.results.empty() && State::is_worth_keeping(excerpt);
  options.log = &text;
  make_plan(excerpt, options);
  return text;
}

/// Copies wanted values that already exist: leaves, and views of known values. Their memory cannot
/// be handed out, and an update may be about to write to it.
static Recycled<Tensor> copies_of_known(const CachedPlan& cached) {
  const Plan& plan = *cached.plan;
  Recycled<Tensor> copies;
  for (const auto& [value, view] : plan.wanted) {
    if (plan.sources[view].place == Plan::Place::result) continue;
    const TensorView& v = cached.views[view];
    Tensor copy(v.shape, v.dtype);
    copy.copy_from(Tensor(nullptr, v.data, v.dtype, v.shape, v.strides));
    copies.push_back(std::move(copy));
  }
  return copies;
}

/// Returns the message for a failure to allocate the memory of a run: how much it needs, and the
/// largest consumers.
static ErrorParts memory_needed(const Planned& planned, const Graph& graph) {
  const Plan& plan = planned.plan();
  int64_t results = 0;
  for (const Plan::Result& result : plan.results) {
    results += result.shape.size() * size_of(result.dtype);
  }
  std::string text =
      fmt::format("out of memory: {} for values between the steps and {} for results are needed",
                  bytes_text(plan.arena_bytes + plan.kept_bytes), bytes_text(results));
  const auto size = [&](const Plan::Step& step) {
    int64_t bytes = step.scratch_bytes;
    for (const ViewId view : step.output_views()) {
      const TensorView& v = plan.views[view];
      bytes += v.shape.size() * size_of(v.dtype);
    }
    return bytes;
  };
  const auto largest =
      std::max_element(plan.steps.begin(), plan.steps.end(),
                       [&](const auto& a, const auto& b) { return size(a) < size(b); });
  if (largest == plan.steps.end()) {
    const Value& wanted = graph.values[planned.values[plan.wanted.front().first]];
    return {.detail = text, .place = graph.written_at(graph.nodes[wanted.node])};
  }
  std::string shape = "nothing";
  if (largest->outputs > 0) shape = to_string(plan.views[largest->first_output].shape);
  text += fmt::format(", the most by {} for {}: {}", largest->label(), shape,
                      bytes_text(size(*largest)));
  return {.op = {},
          .detail = text,
          .place = graph.written_at(graph.nodes[planned.nodes[largest->node]])};
}

void Executor::run(std::span<const Var> targets) {
  if (targets.empty()) return;
  State& state = *state_;
  if (state.running) {
    throw Error(
        {.op = "run",
         .detail = "this executor is already running a plan; a step must not ask for values"});
  }
  Graph& graph = targets.front().graph();
  const auto planning = [&] { return memory_short(targets.front(), "planned"); };
  or_out_of_memory([&] { collect(targets, graph, state.targets); }, planning);
  if (state.targets.empty()) return;
  struct Running {
    bool& flag;
    explicit Running(bool& f) : flag(f) { flag = true; }
    ~Running() { flag = false; }
  } running(state.running);
  if (state.options.reference) {
    return or_out_of_memory([&] { state.run_reference(graph); },
                            [&] { return memory_short(targets.front(), "computed"); });
  }
  const Planned planned =
      or_out_of_memory([&] { return state.plan_for(graph, state.plan_options()); }, planning);
  const Plan& plan = planned.plan();
  State::Bound bound;
  Recycled<Tensor> copies;
  try {
    bound = state.bind(planned, graph);
    copies = copies_of_known(*planned.cached);
    // Reserves now, because nothing may fail after the updates have run.
    graph.reserve_results(plan.wanted.size() + plan.kept.size() + plan.results.size());
    try {
      state.execute(planned, graph, state.options.guard);
    } catch (...) {
      // An update, or a step after one, has failed. The old values are gone.
      if (state.updating) state.note_updates(planned, graph);
      throw;
    }
  } catch (const Run::NonFinite& error) {
    try {
      if (error.nodes > 1) state.find_nonfinite(graph);
    } catch (const std::bad_alloc&) {  // only the fused step is named then
    } catch (const OutOfMemory&) {
    }
    throw;
  } catch (const OutOfMemory& error) {
    if (!error.place().empty()) throw;
    throw_out_of_memory([&] { return memory_needed(planned, graph); });
  } catch (const std::bad_alloc&) {
    throw_out_of_memory([&] { return memory_needed(planned, graph); });
  }
  if (!planned.nodes.empty()) graph.ran_to = std::max(graph.ran_to, planned.nodes.back() + 1);
  ++state.counters.runs;
  state.counters.steps += static_cast<int64_t>(plan.steps.size());
  state.note_updates(planned, graph);
  size_t copy = 0;
  for (const auto& [value, view] : plan.wanted) {
    const ValueId id = planned.values[value];
    const Plan::Source& source = plan.sources[view];
    if (source.place != Plan::Place::result) {
      graph.add_result(id, std::move(copies[copy++]));
      continue;
    }
    const TensorView& v = planned.cached->views[view];
    graph.add_result(
        id, Tensor(bound.results[source.index].memory(), v.data, v.dtype, v.shape, v.strides));
  }
  for (size_t i = 0; i < plan.results.size(); ++i) {
    graph.add_result(planned.values[plan.results[i].value], bound.results[i]);
  }
  graph.kept_from = graph.results.size();
  for (const Plan::Kept& kept : plan.kept) {
    const ValueId id = planned.values[kept.value];
    const Value& value = graph.values[id];
    graph.add_result(id, Tensor(bound.kept, bound.kept.get() + kept.offset, value.dtype,
                                value.shape, contiguous_strides(value.shape)));
  }
  graph.kept_to = graph.results.size();
}

Executor::Use::Use(Executor& executor) : outer_(current_executor) { current_executor = &executor; }
Executor::Use::~Use() { current_executor = outer_; }

}  // namespace v0
}  // namespace rapt
