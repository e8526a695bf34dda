// Reverse-mode differentiation, by adding nodes to the tape.
#pragma once

#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/var.hpp"

namespace rapt RAPT_API {

/// The gradients of a scalar with respect to values that were recorded before it, each with its
/// value's shape and type. They are recorded like anything else: differentiate them again for
/// second derivatives. What the scalar does not depend on has a gradient of zeros.
///
/// Throws Error where `loss` has more than one element, or depends on `wrt` through an operator
/// that has no gradient rule.
std::vector<Var> grad(const Var& loss, std::span<const Var> wrt);
inline std::vector<Var> grad(const Var& loss, std::initializer_list<Var> wrt) {
  return grad(loss, std::span(wrt.begin(), wrt.size()));
}
std::vector<Var> grad(const Var& loss, std::span<const Parameter> wrt);
inline std::vector<Var> grad(const Var& loss, std::initializer_list<Parameter> wrt) {
  return grad(loss, std::span(wrt.begin(), wrt.size()));
}
/// The same into a list that is there, one for each of `wrt`. Returns how many of them the loss has
/// a gradient for: the others get zeros.
size_t grad(const Var& loss, std::span<const Var> wrt, std::span<Var> grads);

/// The vector-Jacobian product: the gradients, with respect to `wrt`, of the sum of
/// outputs[i] * seeds[i]. A seed has its output's shape; an empty one stands for zeros.
std::vector<Var> vjp(std::span<const Var> outputs, std::span<const Var> seeds,
                     std::span<const Var> wrt);
size_t vjp(std::span<const Var> outputs, std::span<const Var> seeds, std::span<const Var> wrt,
           std::span<Var> grads);

}  // namespace RAPT_API
