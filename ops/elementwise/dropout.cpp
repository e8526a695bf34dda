#include "ops/elementwise/dropout.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/pointwise.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

// y = x keep / (1 - p), with `keep` drawn from the key. The gradient is the same function of g.
constinit const Op dropout_op{
    .name = "dropout",
    .shape =
        [](ShapeContext& c) {
          if (!is_float(c.dtype(0))) {
            c.fail(fmt::format("expected a float type, got {}", name(c.dtype(0))), ErrorKind::type);
          }
          return c.input(0);
        },
    .gradient =
        [](GradientContext& c) {
          c.input_grad(0) =
              record(dropout_op, {c.output_grad(), c.input(1)}, c.attributes<DropoutAttributes>());
        },
    .traits = {.keys = 2},
    .cpu = {.pointwise = &pointwise_family,
            .code = code_of(kernels::Code::dropout),
            .strided_inputs = true}};

}  // namespace

Var dropout(const Arg& x, double p) {
  if (!(p >= 0 && p <= 1)) {
    throw Error({.op = "dropout",
                 .detail = fmt::format("the probability has to be in [0, 1], it is {}", p),
                 .place = place_of(x.where)});
  }
  const Var var = as_var(x);
  Graph& graph = var.graph();
  if (p == 0 || !graph.training) return var;
  return dropout(Arg(var, x.where), p, graph.key(x.where));
}

Var dropout(const Arg& x, double p, const Var& key) {
  return record(dropout_op, {x, key}, DropoutAttributes{p});
}

}  // namespace v0
}  // namespace rapt
