// Values of a Var. They are computed here, because the recording side does not depend on the
// executor.
#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/core/out_of_memory.hpp"
#include "framework/graph/graph.hpp"
#include "framework/run/executor.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

static ErrorParts memory_for_value(const Var& var, SourceLocation here) {
  const Graph& graph = var.graph(here);
  const Node& node = graph.nodes[graph.values[var.id()].node];
  return {.op = std::string(node.op == nullptr ? "" : node.op->name),
          .detail = fmt::format("out of memory for the value {}", to_string(var.shape(here))),
          .place = place_of(here)};
}

Tensor Var::value(SourceLocation here) const {
  Graph& owner = graph(here);
  return or_out_of_memory(
      [&] {
        if (owner.result(id_) == nullptr) Executor::current().run(std::span(this, 1));
        return owner.hand_out(id_);
      },
      [&] { return memory_for_value(*this, here); });
}

double Var::item(SourceLocation here) const {
  Graph& owner = graph(here);
  if (const Shape all = shape(here); all.size() != 1) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "item",
                 .detail = fmt::format("needs one element, the shape is {}", to_string(all)),
                 .place = place_of(here)});
  }
  return or_out_of_memory(
      [&] {
        if (owner.result(id_) == nullptr) Executor::current().run(std::span(this, 1));
        return owner.result(id_)->item();
      },
      [&] { return memory_for_value(*this, here); });
}

}  // namespace v0
}  // namespace rapt
