// What the executor itself costs.
#include <algorithm>
#include <chrono>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/reduce.hpp>

#include "bench.hpp"

namespace bench {
namespace {

using namespace rapt;

/// A chain of tiny operators, a step each, run in the calling thread: binding memory to a known
/// plan and calling its steps. Recording is not timed.
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
  times.erase(times.begin(), times.begin() + 3);  // the rounds that warm up
  std::sort(times.begin(), times.end());
  const Timing timing{times[times.size() / 2], times[0], whole.runs, whole.peak_rss_mb};
  report(s, 1, timing, {{"ns_per_step", timing.median / static_cast<double>(nodes) * 1e9}});
  if (nodes < 10000) check_computed(result, "the chain's result");
}

}  // namespace

std::vector<Workload> graph_workloads() {
  return {{"steps", {{"nodes", 2000}, {"width", 8}}, steps_workload}};
}

}  // namespace bench
