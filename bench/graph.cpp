// The overhead of the executor.
#include <algorithm>
#include <chrono>
#include <ctime>

#include "bench/bench.hpp"
#include "framework/graph/tape.hpp"
#include "framework/plan/plan.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"

namespace bench {
namespace {

using namespace rapt;

/// Measures a chain of tiny operators, one step each, run in the calling thread. This is the cost
/// of binding memory to a known plan and calling its steps. Recording is not timed.
void steps_workload(const Settings& s) {
  using Clock = std::chrono::steady_clock;
  const int64_t nodes = s["nodes"];
  Executor executor({.threads = 1, .fuse = false});
  const Executor::Use use(executor);
  const Tensor a = full({s["width"]}, 0.5), c = full({s["width"]}, 0.999);
  Tensor result;
  std::vector<double> times;
  const Timing whole = repeat(
      [&] {
        const Tape tape;
        Var x = as_var(a);
        const Var factor = as_var(c);
        for (int64_t i = 0; i < nodes; ++i) x = x * factor;
        const auto begin = Clock::now();
        executor.run({x});
        times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
        result = x.value();
      },
      s.seconds());
  times.erase(times.begin(), times.begin() + 3);  // warm-up rounds
  std::sort(times.begin(), times.end());
  const Timing timing{times[times.size() / 2], times[0], whole.runs, whole.peak_rss_mb};
  report(s, 1, timing, {{"ns_per_step", timing.median / static_cast<double>(nodes) * 1e9}});
  if (nodes < 10000) check_computed(result, "the chain's result");
}

/// Returns the processor time of this thread. Planning uses one thread, and other programs may be
/// running.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// Records steps of a recurrent cell and the gradients of its weights, until there are about
/// `nodes` nodes.
std::vector<Var> record_cell(int64_t nodes, int64_t width, const Tape& tape) {
  const Key key{3};
  const Var input = as_var(normal(key, {4, width}));
  const Var from_input = as_var(normal(key.fold(1), {width, 3 * width}, 0, 0.1));
  const Var from_state = as_var(normal(key.fold(2), {width, 2 * width}, 0, 0.1));
  const Var from_reset = as_var(normal(key.fold(3), {width, width}, 0, 0.1));
  Var state = as_var(zeros({4, width}));
  // The gradients have about 1.5 times as many nodes as the steps.
  while (static_cast<int64_t>(tape.size()) < nodes * 2 / 5) {
    const Var x = matmul(input, from_input), h = matmul(state, from_state);
    const auto part = [&](const Var& v, int64_t i) {
      return slice(v, 1, i * width, (i + 1) * width);
    };
    const Var reset = sigmoid(part(x, 0) + part(h, 0)), keep = sigmoid(part(x, 1) + part(h, 1));
    const Var next = tanh(part(x, 2) + matmul(reset * state, from_reset));
    state = keep * state + (1 - keep) * next;
  }
  return grad(sum(square(state)), {{from_input, from_state, from_reset}});
}

/// Measures the planning of a graph that is seen for the first time.
void plan_workload(const Settings& s) {
  Executor executor({.threads = s.threads(), .plan_capacity = 0});
  const Executor::Use use(executor);
  const Tape tape;
  const std::vector<Var> gradients = record_cell(s["nodes"], s["width"], tape);
  const auto nodes = static_cast<double>(tape.size());
  std::vector<double> times;
  size_t steps = 0;
  const Timing whole = repeat(
      [&] {
        const double begin = thread_seconds();
        steps = executor.plan(gradients)->steps.size();
        times.push_back(thread_seconds() - begin);
      },
      s.seconds());
  times.erase(times.begin(), times.begin() + 3);  // warm-up rounds
  std::sort(times.begin(), times.end());
  const Timing timing{times[times.size() / 2], times[0], whole.runs, whole.peak_rss_mb};
  report(s, s.threads(), timing,
         {{"nodes", nodes},
          {"steps", static_cast<double>(steps)},
          {"us_per_node", timing.median / nodes * 1e6}});
}

/// Compares a loop on one tape that asks for a value in each step with one that asks at its end.
/// Both make new plans each time, as a loop that runs only once does.
void values_workload(const Settings& s) {
  const int64_t width = s["width"];
  const Tensor weight = normal(Key{3}, {width, width}, 0, 0.1), start = full({1, width}, 0.1);
  const auto loop = [&](bool each) {
    Executor executor({.threads = s.threads()});
    const Executor::Use use(executor);
    const Tape tape;
    const Var w = as_var(weight);
    Var state = as_var(start), seen;
    for (int64_t i = 0; i < s["steps"]; ++i) {
      state = tanh(matmul(state, w));
      seen = log_softmax(state);
      if (each) (void)seen.value();
    }
    check_computed(seen.value(), "the last value");
  };
  const Timing end = repeat([&] { loop(false); }, s.seconds() / 2);
  const Timing each = repeat([&] { loop(true); }, s.seconds() / 2);
  report(s, s.threads(), each,
         {{"at_end_s", end.median}, {"each_by_at_end", each.median / end.median}});
}

}  // namespace

std::vector<Workload> graph_workloads() {
  return {{"steps", {{"nodes", 2000}, {"width", 8}}, steps_workload},
          {"plan", {{"nodes", 300}, {"width", 16}}, plan_workload},
          {"values", {{"steps", 1000}, {"width", 8}}, values_workload}};
}

}  // namespace bench
