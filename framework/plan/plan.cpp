#include "framework/plan/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <set>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

std::string shapes_of(const Plan& plan, IdRange<ViewId> views) {
  std::string text;
  for (const ViewId view : views) {
    if (!text.empty()) text += ' ';
    text += to_string(plan.views[view].shape);
  }
  return text;
}

/// Tracks which step wrote each byte while the steps run one after the other. Memory is reused, and
/// several steps may write parts of one array. So the record is kept per byte, in runs.
class Writers {
 public:
  /// Returns the steps that wrote the elements of the view, ascending. Returns none if they existed
  /// before the plan ran.
  std::vector<StepId> of(const TensorView& view, const Plan::Source& source) const {
    std::vector<StepId> found;
    const auto memory = memories_.find(key(source));
    if (memory == memories_.end()) return found;
    const Runs& runs = memory->second;
    int64_t known_from = 0, known_to = 0;  // the run that was found last, which often contains the
                                           // next bytes too
    for_each_run(view, source.offset, [&](int64_t begin, int64_t end) {
      if (begin >= known_from && end <= known_to) return;
      for (auto run = first_behind(runs, begin); run != runs.end() && run->first < end; ++run) {
        found.push_back(run->second.step);
        known_from = run->first;
        known_to = run->second.end;
      }
    });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  void write(const TensorView& view, const Plan::Source& source, StepId step) {
    Runs& runs = memories_[key(source)];
    for_each_run(view, source.offset, [&](int64_t begin, int64_t end) {
      for (auto run = first_behind(runs, begin); run != runs.end() && run->first < end;) {
        const auto [at, old] = *run;
        run = runs.erase(run);
        if (at < begin) runs[at] = {begin, old.step};
        if (old.end > end) runs[end] = old;
      }
      runs[begin] = {end, step};
    });
  }

 private:
  struct Run {
    int64_t end;
    StepId step;
  };
  using Runs = std::map<int64_t, Run>;  // by their first byte
  using Key = std::pair<Plan::Place, uint32_t>;

  /// The arena is one memory; each result and each leaf is another.
  static Key key(const Plan::Source& source) {
    const bool one = source.place == Plan::Place::arena || source.place == Plan::Place::kept;
    return {source.place, one ? 0 : source.index};
  }

  /// Returns the first run that ends after `byte`.
  template <class Map>
  static auto first_behind(Map& runs, int64_t byte) -> decltype(runs.begin()) {
    auto run = runs.upper_bound(byte);
    if (run != runs.begin() && std::prev(run)->second.end > byte) --run;
    return run;
  }

  /// Calls f(begin, end) for contiguous ranges of bytes that cover the view.
  template <class F>
  static void for_each_run(const TensorView& view, int64_t offset, const F& f) {
    if (view.size() == 0) return;
    struct Axis {
      int64_t stride, size;  // in bytes, positive
    };
    std::vector<Axis> axes;
    for (int i = 0; i < view.shape.rank(); ++i) {
      const int64_t stride = view.strides[static_cast<size_t>(i)] * size_of(view.dtype);
      const int64_t size = view.shape[i];
      if (size == 1 || stride == 0) continue;
      if (stride < 0) offset += stride * (size - 1);
      axes.push_back({std::abs(stride), size});
    }
    std::sort(axes.begin(), axes.end(), [](Axis a, Axis b) { return a.stride > b.stride; });
    int64_t bytes = size_of(view.dtype);  // bytes per run; grows as contiguous axes are merged
    while (!axes.empty() && axes.back().stride <= bytes) {
      bytes += axes.back().stride * (axes.back().size - 1);
      axes.pop_back();
    }
    const auto walk = [&](const auto& self, size_t axis, int64_t at) -> void {
      if (axis == axes.size()) return f(at, at + bytes);
      for (int64_t i = 0; i < axes[axis].size; ++i) {
        self(self, axis + 1, at + i * axes[axis].stride);
      }
    };
    walk(walk, 0, offset);
  }

  std::map<Key, Runs> memories_;
};

/// Escapes a text for a quoted string of Graphviz.
std::string quoted(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

/// Draws a value that existed before the plan ran.
std::string dot_of_given(const Graph& graph, const Plan& plan, const Plan::Source& source) {
  const Value& value = graph.values[plan.values[source.value()]];
  const Node& node = graph.nodes[value.node];
  std::string name = to_string(value.shape), shape = "ellipse";
  if (source.place == Plan::Place::known) {
    name += "\\ncomputed before";
  } else if (const Leaf& leaf = graph.leaves[node.leaf()]; leaf.parameter) {
    name = quoted(leaf.parameter->name);
    shape = "cylinder";
  }
  return fmt::format("  v{} [label=\"{}\", shape={}];\n", source.index, name, shape);
}

}  // namespace

std::string Plan::Step::label() const {
  if (nodes == 1) return std::string(op->name);
  if (op->cpu.fuses_residual != nullptr) return fmt::format("{} + add", op->name);
  return fmt::format("{} nodes .. {}", nodes, op->name);
}

std::string Plan::to_string(const Graph& graph) const {
  std::string text = fmt::format("{} steps in {} tasks, arena {} bytes\n", steps.size(),
                                 tasks.size(), arena_bytes);
  auto out = std::back_inserter(text);
  for (const StepId s : steps.ids()) {
    const Step& step = steps[s];
    // Marks a step that belongs to the same row chain as the step before.
    fmt::format_to(out, "{:4} {}{:<24} {} -> {}", index(s), step.chain.steps == 0 ? '+' : ' ',
                   step.label(), shapes_of(*this, step.input_views()),
                   shapes_of(*this, step.output_views()));
    for (const ViewId view : step.output_views()) {
      const Source& source = sources[view];
      if (source.place == Place::arena) fmt::format_to(out, "  at {}", source.offset);
      if (source.place == Place::result) fmt::format_to(out, "  result {}", source.index);
    }
    fmt::format_to(out, "; at {}\n", graph.written_at(graph.nodes[nodes[step.node]]));
  }
  return text;
}

std::string Plan::to_dot(const Graph& graph) const {
  std::string text = "digraph plan {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  auto out = std::back_inserter(text);
  for (const StepId s : steps.ids()) {
    const Step& step = steps[s];
    const auto outputs = sources.slice(step.first_output, step.outputs);
    const bool is_wanted = std::any_of(outputs.begin(), outputs.end(), [](const Source& source) {
      return source.place == Place::result;
    });
    fmt::format_to(out, "  s{} [label=\"{}\\n{}\"{}];\n", index(s), quoted(step.label()),
                   shapes_of(*this, step.output_views()), is_wanted ? ", peripheries=2" : "");
  }
  // Solid arrows show data flow, from the step that computes a value to its reader. Dashed arrows
  // are waits for memory.
  Writers writers;
  std::set<PlanValue> drawn;  // values that existed before
  for (const StepId s : steps.ids()) {
    const Step& step = steps[s];
    std::set<StepId> makers;
    std::set<PlanValue> leaves;
    for (const ViewId i : step.input_views()) {
      const std::vector<StepId> wrote = writers.of(views[i], sources[i]);
      makers.insert(wrote.begin(), wrote.end());
      const Source& source = sources[i];
      const bool was_there = source.place == Place::leaf || source.place == Place::known;
      if (!was_there || !wrote.empty()) continue;
      leaves.insert(source.value());
      if (!drawn.insert(source.value()).second) continue;
      text += dot_of_given(graph, *this, source);
    }
    for (const PlanValue value : leaves) {
      fmt::format_to(out, "  v{} -> s{};\n", index(value), index(s));
    }
    for (const StepId other : makers) {
      fmt::format_to(out, "  s{} -> s{};\n", index(other), index(s));
    }
    for (const StepId other : step.after) {
      if (makers.count(other) != 0) continue;
      fmt::format_to(out, "  s{} -> s{} [style=dashed, color=gray, constraint=false];\n",
                     index(other), index(s));
    }
    for (uint32_t i = 0; i < step.inputs && i < 32; ++i) {
      if ((step.op->traits.mutates >> i & 1) == 0) continue;
      writers.write(views[step.first_input + i], sources[step.first_input + i], s);
    }
    for (const ViewId i : step.output_views()) {
      writers.write(views[i], sources[i], s);
    }
  }
  return text + "}\n";
}

std::span<const StepId> StepLists::add(std::span<const StepId> steps) {
  if (steps.size() > left_) {
    constexpr size_t block = 1024;
    left_ = std::max(block, steps.size());
    blocks_.push_back(std::make_unique<StepId[]>(left_));
    next_ = blocks_.back().get();
  }
  StepId* const begin = next_;
  next_ = std::copy(steps.begin(), steps.end(), begin);
  left_ -= steps.size();
  return {begin, steps.size()};
}

}  // namespace v0
}  // namespace rapt
