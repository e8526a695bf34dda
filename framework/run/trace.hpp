// A record of what ran when, for chrome://tracing or ui.perfetto.dev.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "framework/graph/graph.hpp"
#include "framework/plan/plan.hpp"

namespace rapt {

/// The steps that executors ran, as Chrome trace JSON: a row a worker thread, and each step with
/// its operator, shapes, GFLOP/s and GB/s. There is one while the environment variable RAPT_TRACE
/// names a file, which is written when the program ends.
class Trace {
 public:
  /// The program's trace, or null.
  static Trace* current();

  explicit Trace(std::string path);
  /// Writes the file. A trace that cannot be written is lost without a word: a program that is
  /// ending has nobody to tell.
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Nanoseconds of a steady clock.
  static int64_t now();
  /// Notes that a step of a plan, of this node, ran on this thread from `begin` to `end`. Texts are
  /// made once per plan and put together at the end, so that what runs is not held up.
  /// Where there is no memory to note a step, the trace lacks it.
  void step(Plan& plan, const Plan::Step& step, const Graph& graph, const Node& node, int64_t begin,
            int64_t end);
  /// What was recorded so far, as JSON.
  std::string json() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rapt
