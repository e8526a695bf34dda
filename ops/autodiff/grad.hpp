// Reverse-mode differentiation. Gradients are recorded as nodes on the tape.
#pragma once

#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/var.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the gradients of a scalar with respect to values that were recorded before it. Each
/// gradient has the shape and type of its value. Gradients are ordinary nodes, so they can be
/// differentiated again for second derivatives. A value that the scalar does not depend on gets a
/// gradient of zeros.
///
/// Throws Error if `loss` has more than one element, or if it depends on `wrt` through an operator
/// that has no gradient rule.
std::vector<Var> grad(const Var& loss, std::span<const Var> wrt);
inline std::vector<Var> grad(const Var& loss, std::initializer_list<Var> wrt) {
  return grad(loss, std::span(wrt.begin(), wrt.size()));
}
std::vector<Var> grad(const Var& loss, std::span<const Parameter> wrt);
inline std::vector<Var> grad(const Var& loss, std::initializer_list<Parameter> wrt) {
  return grad(loss, std::span(wrt.begin(), wrt.size()));
}
/// Writes the gradients into `grads`, one for each element of `wrt`. Returns the number of elements
/// that the loss depends on. The others get zeros.
size_t grad(const Var& loss, std::span<const Var> wrt, std::span<Var> grads);

/// Returns the vector-Jacobian product: the gradients, with respect to `wrt`, of the sum of
/// outputs[i] * seeds[i]. A seed has its output's shape. An empty seed stands for zeros.
std::vector<Var> vjp(std::span<const Var> outputs, std::span<const Var> seeds,
                     std::span<const Var> wrt);
size_t vjp(std::span<const Var> outputs, std::span<const Var> seeds, std::span<const Var> wrt,
           std::span<Var> grads);

}  // namespace v0
}  // namespace rapt
