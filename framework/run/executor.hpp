// Runs plans.
#pragma once

#include <memory>
#include <string>

#include "framework/core/api.hpp"
#include "framework/plan/plan.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Settings of an executor.
struct ExecutorOptions {
  /// Maximum number of threads that work at a time; 0: as many as the process may use.
  int threads = 0;
  /// True: works in the TBB arena that run() is called from, with that arena's thread limit. For
  /// host programs that manage their own arenas. False: the executor has its own arena.
  bool callers_arena = false;
  /// Runs a plan in the calling thread if its estimated work is below this, in nanoseconds. Waking
  /// another thread would then cost more than it saves.
  double parallel_from = 40000;
  /// Maximum number of cached plans. The least recently used one is dropped first.
  int plan_capacity = 512;
  /// Checks the result of every step. The first NaN or infinity throws a NonFiniteError that names
  /// the node, its layer and its line; no parameter is then updated. Minus infinity passes if a
  /// mask made it, or if an input of the step already holds it.
  bool guard = false;
  /// Gathers chains of elementwise nodes into one step.
  bool fuse = true;
  /// Verifies every new plan step by step before it runs (framework/check/plan_check.hpp). This
  /// includes plans for the rest of a partly computed tape. A faulty plan throws an Error that
  /// names its steps. On by default if NDEBUG is not defined or the environment has
  /// RAPT_CHECK_PLANS=1.
  bool check_plans = checks_plans_by_default();
  /// Computes node by node, without plans (framework/run/reference.hpp). This is slow, but simple
  /// enough to trust.
  bool reference = false;

  static bool checks_plans_by_default();
};

/// Statistics since an executor was made.
struct ExecutorCounters {
  int64_t runs = 0;           ///< calls of run() that computed something
  int64_t plans_made = 0;     ///< new plans
  int64_t plans_reused = 0;   ///< plans found in the cache
  int64_t plans_dropped = 0;  ///< plans removed from the full cache
  int64_t steps = 0;          ///< steps that have run
  int64_t arena_bytes = 0;    ///< present size of the arena
};

/// Plans and runs the computations that a thread requests. Each thread has its own executor, so
/// that several threads can train models side by side. Use replaces a thread's executor.
class Executor {
 public:
  /// Throws Error for a number of threads or plans below 0, and for a cost that is no number.
  explicit Executor(const ExecutorOptions& options = {});
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Returns the executor of this thread.
  static Executor& current();

  /// Computes the targets and only what they need. Targets that are leaves, or views of leaves,
  /// have the values from before the run's updates. An update runs only once, even if its result is
  /// requested repeatedly. Throws Error, with the node's place, if a step fails. The graph is then
  /// as before. No leaf was written to, unless the failed step needs an update or is one.
  void run(std::span<const Var> targets);
  void run(std::initializer_list<Var> targets) { run(std::span(targets.begin(), targets.size())); }

  /// Returns the plan that run() would use.
  std::shared_ptr<const Plan> plan(std::span<const Var> targets);
  /// Plans the targets anew and returns what each pass of the planner made: the excerpt of the
  /// recording, units, order, pieces, chains and memory, as text.
  std::string explain(std::span<const Var> targets);

  const ExecutorOptions& options() const;
  ExecutorCounters counters() const;

  /// Makes `executor` the current one of this thread during its own lifetime.
  class Use {
   public:
    explicit Use(Executor& executor);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Executor* outer_;
  };

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace v0
}  // namespace rapt
