// The members of Var and Arg that need the graph. They are not in var.hpp, because graph.hpp
// includes var.hpp.
#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/var.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

Graph& Var::graph(SourceLocation here) const {
  if (graph_ == nullptr) {
    throw Error({.detail = "a Var that holds nothing was used", .place = place_of(here)});
  }
  if (graph_->generation != generation_) {
    throw Error({.detail = "a Var was used after its Tape ended; keep value() instead",
                 .place = place_of(here)});
  }
  return *graph_;
}

Shape Var::shape(SourceLocation here) const { return graph(here).values[id_].shape; }
DType Var::dtype(SourceLocation here) const { return graph(here).values[id_].dtype; }

int64_t Var::size(int axis, SourceLocation here) const {
  const Shape all = shape(here);
  if (axis < -all.rank() || axis >= all.rank()) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "size",
                 .detail = fmt::format("there is no axis {} in {}", axis, to_string(all)),
                 .place = place_of(here)});
  }
  return all[axis];
}

Var Var::output(int i) const {
  Graph& owner = graph();
  const Node& node = owner.nodes[owner.values[id_].node];
  if (i < 0 || i >= node.outputs) {
    throw Error({.op = std::string(node.op == nullptr ? "leaf" : node.op->name),
                 .detail = fmt::format("has {} outputs, asked for output {}", node.outputs, i),
                 .place = owner.written_at(node)});
  }
  return {owner, node.first_value + static_cast<uint32_t>(i)};
}

Var::Var(const Tensor& tensor, SourceLocation here) : Var(as_var(Arg(tensor, here))) {}
Var::Var(const Parameter& parameter, SourceLocation here) : Var(as_var(Arg(parameter, here))) {}

Arg::Arg(const Parameter& parameter, SourceLocation here)
    : where(here), kind_(Kind::parameter), held_(parameter.state()) {}

Arg::Arg(const Tensor& tensor, SourceLocation here)
    : where(here),
      kind_(Kind::tensor),
      held_(std::allocate_shared<Tensor>(RecyclingAllocator<Tensor>(), tensor)) {}

Graph* Arg::graph() const { return kind_ == Kind::var ? &var_.graph(where) : nullptr; }

DType Arg::dtype() const {
  switch (kind_) {
    case Kind::var:
      return var_.dtype(where);
    case Kind::parameter:
      return held_ ? static_cast<ParameterState*>(held_.get())->value.dtype() : DType::float32;
    case Kind::tensor:
      return static_cast<Tensor*>(held_.get())->dtype();
    default:
      return DType::float32;
  }
}

Var Arg::on(Graph& graph, DType number_type) const {
  switch (kind_) {
    case Kind::var:
      if (this->graph() != &graph) {
        throw Error(
            {.detail = "the operands are on different tapes", .place = rapt::place_of(where)});
      }
      return var_;
    case Kind::parameter:
      return graph.parameter(std::static_pointer_cast<ParameterState>(held_), where);
    case Kind::tensor:
      return graph.constant(*static_cast<Tensor*>(held_.get()), where);
    default:
      return graph.constant(number_, number_type, where);
  }
}

}  // namespace v0
}  // namespace rapt
