#include "framework/run/run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/parallel.hpp"

namespace rapt::internal {

/// Minimum estimated work, in nanoseconds, of a step whose loops are shared among threads.
static constexpr double loop_from = 8000;

Run::Run(const Planned& planned, const Graph& graph, bool guard, int threads)
    : plan_(planned.plan()),
      views_(planned.cached->views),
      nodes_(planned.nodes),
      graph_(graph),
      guard_(guard),
      threads_(threads) {}

void Run::serial(StepId begin, StepId end) { run_steps(begin, end); }

void Run::parallel(TaskId begin, TaskId end) {
  // Tasks before `begin` have run, so only waits inside the range count.
  waiting_ = IndexedBy<TaskId, Recycled<std::atomic<uint32_t>>>(plan_.tasks.size());
  end_ = end;
  for (TaskId t = begin; t < end; ++t) {
    for (const TaskId next : plan_.tasks[t].successors) {
      waiting_[next].fetch_add(1, std::memory_order_relaxed);
    }
  }
  // Lists the ready tasks first, because running tasks make others ready.
  Recycled<TaskId> ready;
  for (TaskId t = begin; t < end; ++t) {
    if (waiting_[t].load(std::memory_order_relaxed) == 0) ready.push_back(t);
  }
  if (!workers_) workers_.emplace();
  for (const TaskId t : ready) workers_->group.run([this, t] { follow(t); });
  workers_->group.wait();
}

void Run::follow(TaskId t) {
  while (t != TaskId::none && !failed_.load(std::memory_order_relaxed)) {
    const Plan::Task& task = plan_.tasks[t];
    run_steps(task.first_step, task.first_step + task.steps);
    TaskId next = TaskId::none;
    for (const TaskId successor : task.successors) {
      if (successor >= end_) continue;
      if (waiting_[successor].fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
      if (next == TaskId::none) {
        next = successor;
      } else {
        workers_->group.run([this, successor] { follow(successor); });
      }
    }
    t = next;
  }
}

void Run::run_steps(StepId begin, StepId end) {
  while (begin < end) {
    try {
      execute(&plan_.steps[begin]);
    } catch (...) {
      // Steps that depend on this one must not run on its incomplete results.
      failed_.store(true, std::memory_order_relaxed);
      throw;
    }
    begin = begin + (guard_ ? 1 : plan_.steps[begin].chain.steps);
  }
}

void Run::execute(const Plan::Step* steps) {
  const uint32_t count = guard_ ? 1 : steps->chain.steps;
  double cost = 0, slack = steps->slack;
  for (uint32_t i = 0; i < count; ++i) {
    cost += steps[i].cost;
    slack = std::min(slack, steps[i].slack);
  }
  // A step with slack runs on one thread, because no other thread will wait for it. Undivided it
  // takes less time in total, and reads data from fewer caches.
  const bool urgent = slack < cost * threads_;
  const bool shared = threads_ > 1 && cost > loop_from && urgent;
  const Loops loops = shared ? Loops{&parallel_for, threads_} : Loops{&serial_for, 1};
  const int64_t begin = trace_ != nullptr ? Trace::now() : 0;
  if (count > 1) {
    run_chain({steps, count}, loops);
  } else {
    run_alone(*steps, loops);
  }
  if (trace_ == nullptr) return;
  // Divides a chain's time among its steps in proportion to the bytes that they touch.
  double bytes = 0, past = 0;
  for (uint32_t i = 0; i < count; ++i) bytes += steps[i].bytes;
  const auto time = static_cast<double>(Trace::now() - begin);
  for (uint32_t i = 0; i < count; ++i) {
    const double from = past;
    past = count == 1 ? 1 : past + steps[i].bytes / bytes;
    trace_->step(plan_, steps[i], graph_, node_of(steps[i]),
                 begin + static_cast<int64_t>(from * time),
                 begin + static_cast<int64_t>(past * time));
  }
}

void Run::run_alone(const Plan::Step& step, const Loops& loops) {
  const ForwardContext context = context_of(step, loops);
  try {
    if (const Rowwise* rowwise = step.rowwise()) {
      const int64_t all = step.rows.count;
      const int64_t range = even_range(all, step.rows.range, step.rows.block, loops.threads);
      loops.run((all + range - 1) / range, [&](int64_t i) {
        rowwise->rows(context, i * range, std::min(all, (i + 1) * range));
      });
      if (rowwise->finish != nullptr) rowwise->finish(context);
    } else {
      step.op->cpu.forward(context);
    }
  } catch (...) {
    graph_.rethrow_at(node_of(step));
  }
  if (guard_) check(step, context);
}

int64_t Run::even_range(int64_t all, int64_t range, int64_t block, int64_t threads) {
  int64_t ranges = (all + range - 1) / range;
  if (ranges > 1) ranges = (ranges + threads - 1) / threads * threads;
  const int64_t blocks = (all + block - 1) / block;
  return std::max<int64_t>(1, (blocks + ranges - 1) / std::max<int64_t>(1, ranges)) * block;
}

void Run::run_chain(std::span<const Plan::Step> steps, const Loops& loops) {
  Recycled<ForwardContext> contexts;
  contexts.reserve(steps.size());
  for (const Plan::Step& step : steps) contexts.push_back(context_of(step, loops));
  const RowChain& chain = steps[0].chain;
  const int64_t all = steps[0].rows.count * steps[0].rows.width;
  const int64_t range = even_range(all, chain.elements, chain.unit, loops.threads);
  loops.run((all + range - 1) / range, [&](int64_t i) {
    const int64_t begin = i * range, end = std::min(all, begin + range);
    for (size_t s = 0; s < steps.size(); ++s) {
      const int64_t width = steps[s].rows.width;
      steps[s].rowwise()->rows(contexts[s], begin / width, end / width);
    }
  });
  for (size_t s = 0; s < steps.size(); ++s) {
    if (const auto finish = steps[s].rowwise()->finish) finish(contexts[s]);
  }
}

const Node& Run::node_of(const Plan::Step& step) const { return graph_.nodes[nodes_[step.node]]; }

ForwardContext Run::context_of(const Plan::Step& step, const Loops& loops) const {
  return {views_.slice(step.first_input, step.inputs),
          views_.slice(step.first_output, step.outputs),
          {plan_.words.data() + step.first_word, step.words},
          scratch_of(step),
          loops.run,
          step.program.get(),
          loops.threads};
}

void Run::check(const Plan::Step& step, const ForwardContext& context) {
  const int bad = guarded_results_.first_bad(step, context);
  if (bad < 0) return;
  throw NonFinite({.op = std::string(step.op->name),
                   .detail = fmt::format("the result {} holds a NaN or an infinity",
                                         to_string(context.output(bad).shape)),
                   .place = graph_.written_at(node_of(step))},
                  step.nodes);
}

void* Run::scratch_of(const Plan::Step& step) const {
  return step.scratch_bytes == 0 ? nullptr : arena + step.scratch;
}

}  // namespace rapt::internal
