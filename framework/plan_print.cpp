#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <rapt/framework/error.hpp>
#include <rapt/framework/plan.hpp>

namespace rapt {
namespace {

std::string shapes_of(const Plan& plan, uint32_t first, uint32_t count) {
  std::string text;
  for (uint32_t i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    text += to_string(plan.views[first + i].shape);
  }
  return text;
}

}  // namespace

std::string Plan::Step::label() const {
  if (nodes == 1) return std::string(op->name);
  if (op->adds != nullptr) return fmt::format("{} + add", op->name);
  return fmt::format("{} nodes .. {}", nodes, op->name);
}

std::string Plan::to_string(const Graph& graph) const {
  std::string text = fmt::format("{} steps in {} tasks, arena {} bytes\n", steps.size(),
                                 tasks.size(), arena_bytes);
  auto out = std::back_inserter(text);
  for (size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    // What runs along with the step before, row by row, is marked.
    fmt::format_to(out, "{:4} {}{:<24} {} -> {}", s, step.chain.steps == 0 ? '+' : ' ',
                   step.label(), shapes_of(*this, step.first_input, step.inputs),
                   shapes_of(*this, step.first_output, step.outputs));
    for (uint32_t i = 0; i < step.outputs; ++i) {
      const Source& source = sources[step.first_output + i];
      if (source.place == Place::arena) fmt::format_to(out, "  at {}", source.offset);
      if (source.place == Place::result) fmt::format_to(out, "  result {}", source.index);
    }
    fmt::format_to(out, "{}\n", graph.place_of(graph.nodes[nodes[step.node]]));
  }
  return text;
}

std::string Plan::to_dot(const Graph& graph) const {
  std::string text = "digraph plan {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  auto out = std::back_inserter(text);
  for (size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    fmt::format_to(out, "  s{} [label=\"{}\\n{}\"];\n", s, step.label(),
                   shapes_of(*this, step.first_output, step.outputs));
  }
  // Arrows are what flows: makers of what a step reads. Waits for memory are dashed.
  std::vector<std::pair<uint32_t, std::string>> leaves;
  for (size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    for (uint32_t i = 0; i < step.inputs; ++i) {
      const Source& source = sources[step.first_input + i];
      if (source.place != Place::leaf) continue;
      const Value& value = graph.values[values[source.index]];
      const Node& node = graph.nodes[value.node];
      const Leaf& leaf = graph.leaves[node.first_word];
      const std::string name = leaf.parameter ? leaf.parameter->name : rapt::to_string(value.shape);
      const auto known = std::find_if(leaves.begin(), leaves.end(),
                                      [&](const auto& l) { return l.first == source.index; });
      if (known == leaves.end()) {
        leaves.emplace_back(source.index, name);
        fmt::format_to(out, "  v{} [label=\"{}\", shape={}];\n", source.index, name,
                       leaf.parameter ? "cylinder" : "ellipse");
      }
      fmt::format_to(out, "  v{} -> s{};\n", source.index, s);
    }
    for (const uint32_t other : step.after) fmt::format_to(out, "  s{} -> s{};\n", other, s);
  }
  return text + "}\n";
}

}  // namespace rapt
