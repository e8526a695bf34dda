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
  for (uint32_t n = 0; n < excerpt_.nodes.size(); ++n) {
    const Excerpt::Node& recorded = excerpt_.nodes[n];
    fmt::format_to(out, "  {} (", node(n));
    const char* separator = "";
    for (const uint32_t input : excerpt_.inputs_of(recorded)) {
      fmt::format_to(out, "{}%{}", std::exchange(separator, ", "), input);
    }
    fmt::format_to(out, ") ->");
    for (uint32_t v = recorded.first_value; v < recorded.first_value + recorded.outputs; ++v) {
      fmt::format_to(out, " %{} {}", v, to_string(excerpt_.recorded(v).shape));
    }
    fmt::format_to(out, "\n");
  }
}

void PassLog::units(const Units& units) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "units: {} of {} nodes\n", units.size(), units.nodes.size());
  for (uint32_t u = 0; u < units.size(); ++u) {
    fmt::format_to(out, "  u{} {}:", u, name(units.kind(excerpt_, u)));
    for (const uint32_t n : units[u]) fmt::format_to(out, " {}", node(n));
    fmt::format_to(out, "\n");
  }
}

void PassLog::order(const UnitOrder& order) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "order:");
  for (const uint32_t unit : order.units) fmt::format_to(out, " u{}", unit);
  fmt::format_to(out, "\n");
  for (const auto& [unit, earlier] : order.before) {
    fmt::format_to(out, "  u{} after u{}\n", unit, earlier);
  }
}

void PassLog::pieces(const std::vector<Piece>& pieces) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "pieces:\n");
  for (uint32_t v = 0; v < pieces.size(); ++v) {
    if (pieces[v].whole == Excerpt::none) continue;
    fmt::format_to(out, "  %{} in %{} from element {}, strides", v, pieces[v].whole,
                   pieces[v].layout.offset);
    const int rank = excerpt_.recorded(v).shape.rank();
    for (int axis = 0; axis < rank; ++axis) {
      fmt::format_to(out, " {}", pieces[v].layout.strides[static_cast<size_t>(axis)]);
    }
    fmt::format_to(out, "\n");
  }
}

void PassLog::chains(const std::vector<RowChain>& chains) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "chains:\n");
  for (size_t s = 0; s < chains.size(); ++s) {
    if (chains[s].steps < 2) continue;
    fmt::format_to(out, "  s{} to s{}, {} elements at a time\n", s, s + chains[s].steps - 1,
                   chains[s].elements);
  }
}

void PassLog::memory(const Plan& plan) {
  if (text_ == nullptr) return;
  auto out = std::back_inserter(*text_);
  fmt::format_to(out, "memory: {} bytes of arena, {} kept\n", plan.arena_bytes, plan.kept_bytes);
  constexpr const char* places[] = {"arena", "leaf", "known", "result", "kept"};
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    const Plan::Step& step = plan.steps[s];
    fmt::format_to(out, "  s{} {}:", s, step.label());
    for (uint32_t i = 0; i < step.outputs; ++i) {
      const Plan::Source& source = plan.sources[step.first_output + i];
      fmt::format_to(out, " %{} {}+{}", plan.view_values[step.first_output + i],
                     places[static_cast<size_t>(source.place)], source.offset);
    }
    const char* separator = ", after";
    for (const uint32_t earlier : step.after) {
      fmt::format_to(out, "{} s{}", std::exchange(separator, ""), earlier);
    }
    fmt::format_to(out, "\n");
  }
}

std::string PassLog::node(uint32_t n) const {
  return fmt::format("#{} {}", n, excerpt_.nodes[n].op->name);
}

}  // namespace rapt::internal
