// One run of a plan: its steps, one after the other or side by side.
#pragma once

#include <tbb/task_group.h>

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "framework/core/error.hpp"
#include "framework/core/internal.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "framework/plan/plan.hpp"
#include "framework/plan/plan_cache.hpp"
#include "framework/run/guard.hpp"
#include "framework/run/trace.hpp"

namespace rapt::internal {

/// A plan, and the numbers of its nodes and values on the tape that it runs for.
struct Planned {
  std::shared_ptr<CachedPlan> cached;
  IdSpan<PlanNode, const NodeId> nodes;
  IdSpan<PlanValue, const ValueId> values;

  const Plan& plan() const { return *cached->plan; }
};

/// One run of a plan over one graph. The plan's views must have been bound to their addresses.
class Run {
 public:
  Run(const Planned& planned, const Graph& graph, bool guard, int threads);
  /// Runs steps [begin, end) one after the other.
  void serial(StepId begin, StepId end);
  /// Runs tasks [begin, end) in parallel. Must be called inside the arena.
  void parallel(TaskId begin, TaskId end);

  /// The guard's exception. `nodes` is the number of nodes of the failed step.
  struct NonFinite : NonFiniteError {
    NonFinite(ErrorParts parts, uint32_t count) : NonFiniteError(std::move(parts)), nodes(count) {}
    uint32_t nodes;
  };

  std::byte* arena = nullptr;  ///< The memory for values between the steps.

 private:
  /// How a step's loops run, and how many threads share them.
  struct Loops {
    ForwardContext::ParallelFor run;
    int threads;
  };

  /// Runs a task, then the first of the tasks that have become ready. The others go to the pool.
  void follow(TaskId t);
  void run_steps(StepId begin, StepId end);
  /// Runs the step and those that are chained to it.
  void execute(const Plan::Step* steps);
  void run_alone(const Plan::Step& step, const Loops& loops);
  /// Returns a length near `range`, a multiple of `block`, so that all threads get the same number
  /// of ranges.
  static int64_t even_range(int64_t all, int64_t range, int64_t block, int64_t threads);
  /// Runs all steps on some rows, then on the next rows. Rowwise operators do not throw.
  void run_chain(std::span<const Plan::Step> steps, const Loops& loops);
  const Node& node_of(const Plan::Step& step) const;
  ForwardContext context_of(const Plan::Step& step, const Loops& loops) const;
  void check(const Plan::Step& step, const ForwardContext& context);
  void* scratch_of(const Plan::Step& step) const;

  const Plan& plan_;
  IdSpan<ViewId, const TensorView> views_;
  IdSpan<PlanNode, const NodeId> nodes_;
  const Graph& graph_;
  bool guard_;
  int threads_;
  Trace* const trace_ = Trace::current();
  TaskId end_{};
  IndexedBy<TaskId, Recycled<std::atomic<uint32_t>>> waiting_;
  std::atomic<bool> failed_{false};
  Guard guarded_results_;
  struct Workers {
    // Not defaulted: clang++ would then reject workers_, because Run is incomplete here.
    Workers() {}
    // Isolated: if the host cancels its own tasks, it must not silently cancel these.
    tbb::task_group_context context{tbb::task_group_context::isolated};
    tbb::task_group group{context};
  };
  std::optional<Workers> workers_;  // if tasks run in parallel
};

}  // namespace rapt::internal
