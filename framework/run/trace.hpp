// A trace of the executed steps, for chrome://tracing or ui.perfetto.dev.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "framework/core/internal.hpp"
#include "framework/graph/graph.hpp"
#include "framework/plan/plan.hpp"

namespace rapt::internal {

/// The steps that executors ran, as Chrome trace JSON. It has one row per worker thread. Each step
/// has its operator, shapes, GFLOP/s and GB/s. Tracing is on if the environment variable RAPT_TRACE
/// names a file, which is written when the program ends.
class Trace {
 public:
  /// Returns the program's trace, or null. Throws as the constructor does.
  static Trace* current();

  /// Opens the file. Throws FileError if it cannot be written.
  explicit Trace(const std::string& path);
  /// Writes the file. Failures are ignored, because an ending program cannot report them.
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Returns the nanoseconds of a steady clock.
  static int64_t now();
  /// Records that a step of a plan, for this node, ran on this thread from `begin` to `end`. Texts
  /// are made once per plan and assembled at the end, to disturb the measured program little. If
  /// memory is exhausted, the step is missing in the trace.
  void step(const Plan& plan, const Plan::Step& step, const Graph& graph, const Node& node,
            int64_t begin, int64_t end);
  /// Returns the steps recorded so far, as JSON.
  std::string json() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rapt::internal
