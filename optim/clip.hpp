// The norm of a set of gradients, and the factor that limits it.
#pragma once

#include <span>

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the square root of the sum of squares of all elements of all arrays, as a float64
/// scalar. The result has the same bits on any number of threads. Finite arrays have a finite norm,
/// however large or small their elements, as long as float64 can represent it. Throws Error if
/// there is no array, or one that does not hold floats.
Var global_norm(std::span<const Var> arrays, SourceLocation where = SourceLocation::current());

/// Returns min(1, limit / (norm + 1e-6)) as a float64 scalar, the factor of
/// torch.nn.utils.clip_grad_norm_ (Pascanu et al. 2013, On the difficulty of training recurrent
/// neural networks).
Var clip_factor(const Var& norm, double limit, SourceLocation where = SourceLocation::current());

}  // namespace v0
}  // namespace rapt
