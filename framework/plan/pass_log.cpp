#include "framework/plan/pass_log.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace rapt::internal {

void PassLog::excerpt() {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "excerpt: {} nodes, {} values\n", excerpt_.nodes.size(),
                 excerpt_.values.size());
  for (const PlanNode n : excerpt_.nodes.ids()) {
    const Excerpt::Node& recorded = excerpt_.nodes[n];
    fmt::format_to(out, "  {} (", node(n));
    const char* separator = "";
    for (const PlanValue input : excerpt_.inputs_of(recorded)) {
      fmt::format_to(out, "{}%{}", std::exchange(separator, ", "), index(input));
    }
    fmt::format_to(out, ") ->");
    for (const PlanValue v : recorded.values()) {
      fmt::format_to(out, " %{} {}", index(v), to_string(excerpt_.recorded(v).shape));
    }
    fmt::format_to(out, "\n");
  }
}

void PassLog::units(const Units& units) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "units: {} of {} nodes\n", units.size(), units.nodes.size());
  for (const UnitId u : units.ids()) {
    fmt::format_to(out, "  u{} {}:", index(u), name(units.kind(excerpt_, u)));
    for (const PlanNode n : units[u]) fmt::format_to(out, " {}", node(n));
    fmt::format_to(out, "\n");
  }
}

void PassLog::order(const UnitOrder& order) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "order:");
  for (const UnitId unit : order.units) fmt::format_to(out, " u{}", index(unit));
  fmt::format_to(out, "\n");
  for (const auto& [unit, earlier] : order.before) {
    fmt::format_to(out, "  u{} after u{}\n", index(unit), index(earlier));
  }
}

void PassLog::pieces(const IdVector<PlanValue, Piece>& pieces) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "pieces:\n");
  for (const PlanValue v : pieces.ids()) {
    if (pieces[v].whole == PlanValue::none) continue;
    fmt::format_to(out, "  %{} in %{} from element {}, strides", index(v), index(pieces[v].whole),
                   pieces[v].layout.offset);
    const int rank = excerpt_.recorded(v).shape.rank();
    for (int axis = 0; axis < rank; ++axis) {
      fmt::format_to(out, " {}", pieces[v].layout.strides[static_cast<size_t>(axis)]);
    }
    fmt::format_to(out, "\n");
  }
}

void PassLog::chains(const IdVector<StepId, RowChain>& chains) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "chains:\n");
  for (const StepId s : chains.ids()) {
    if (chains[s].steps < 2) continue;
    fmt::format_to(out, "  s{} to s{}, {} elements at a time\n", index(s),
                   index(s) + chains[s].steps - 1, chains[s].elements);
  }
}

void PassLog::memory(const Plan& plan) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "memory: {} bytes of arena, {} kept\n", plan.arena_bytes, plan.kept_bytes);
  constexpr const char* places[] = {"arena", "leaf", "known", "result", "kept"};
  for (const StepId s : plan.steps.ids()) {
    const Plan::Step& step = plan.steps[s];
    fmt::format_to(out, "  s{} {}:", index(s), step.label());
    for (const ViewId v : step.output_views()) {
      const Plan::Source& source = plan.sources[v];
      fmt::format_to(out, " %{} {}+{}", index(plan.view_values[v]),
                     places[static_cast<size_t>(source.place)], source.offset);
    }
    const char* separator = ", after";
    for (const StepId earlier : step.after) {
      fmt::format_to(out, "{} s{}", std::exchange(separator, ""), index(earlier));
    }
    fmt::format_to(out, "\n");
  }
}

std::string PassLog::node(PlanNode n) const {
  return fmt::format("#{} {}", index(n), excerpt_.nodes[n].op->name);
}

}  // namespace rapt::internal
