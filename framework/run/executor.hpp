// Runs plans.
#pragma once

#include <memory>

#include "framework/core/api.hpp"
#include "framework/plan/plan.hpp"

namespace rapt RAPT_API {

struct ExecutorOptions {
  /// The most threads that work at a time; 0: as many as the process may use.
  int threads = 0;
  /// Works in the TBB arena that run() is called from, whose limit then counts, in place of one of
  /// its own: for a host program that has set up its arenas.
  bool callers_arena = false;
  /// A plan of less estimated work than this, in nanoseconds, runs in the calling thread: waking
  /// another one would cost more than it brings.
  double parallel_from = 40000;
  /// How many plans are kept; the one unused for longest goes first.
  int plan_capacity = 512;
  /// Checks every step's result: the first NaN or infinity throws an Error that names the node
  /// that made it, its layer and its line, and no parameter is updated. Minus infinity passes where
  /// a mask made it, and on from there: where an input of the step holds it already.
  bool guard = false;
  /// Gathers chains of elementwise nodes into one step.
  bool fuse = true;
  /// Checks every new plan, and every one for the rest of a tape, step by step before it runs
  /// (framework/plan/plan_check.hpp): a plan with a fault is an Error that names its steps.
  /// On where NDEBUG is not defined, and where the environment has RAPT_CHECK_PLANS=1.
  bool check_plans = checks_plans_by_default();
  /// Computes node by node, without plans (framework/run/reference.hpp): slow, and easy to
  /// trust.
  bool reference = false;

  static bool checks_plans_by_default();
};

struct ExecutorCounters {
  int64_t runs = 0;
  int64_t plans_made = 0;
  int64_t plans_reused = 0;
  int64_t plans_dropped = 0;
  int64_t steps = 0;
  int64_t arena_bytes = 0;
};

/// Plans and runs what a thread asks for. Each thread has one of its own, so that the threads of a
/// program can train models side by side; Use puts another one in its place.
class Executor {
 public:
  explicit Executor(const ExecutorOptions& options = {});
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// The executor of this thread.
  static Executor& current();

  /// Computes the targets, and nothing that they do not need. Targets that are leaves, or views of
  /// them, are as they were before the run's updates. An update runs once, however often what it
  /// makes is asked for. Throws Error, with the node's place, where a step fails: the graph then is
  /// as before, and no leaf was written to unless the step needs an update, or is one.
  void run(std::span<const Var> targets);
  void run(std::initializer_list<Var> targets) { run(std::span(targets.begin(), targets.size())); }

  /// The plan that run() would use.
  std::shared_ptr<const Plan> plan(std::span<const Var> targets);

  const ExecutorOptions& options() const;
  ExecutorCounters counters() const;

  /// While it lives, `executor` is this thread's current one.
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

}  // namespace rapt
