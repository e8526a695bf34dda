// Operators that write to parameters and to an optimizer's own arrays. Each returns an empty array,
// which only marks completion.
#pragma once

#include <cstring>

#include "framework/core/internal.hpp"
#include "framework/graph/op.hpp"
#include "ops/kernels/elementwise/optimizer.hpp"

namespace rapt::internal {

/// Inputs: parameter, gradient, SgdNumbers as float64 and, with clipping, the gradient's factor. If
/// the factor is not finite, this operator and the next two change nothing.
extern const Op sgd_op;
/// Inputs: parameter, velocity, gradient, numbers, factor.
extern const Op sgd_momentum_op;
/// Inputs: parameter, mean, variance, gradient, AdamNumbers as float64, factor.
extern const Op adam_op;
/// Inputs: array, gradient. keep_gradient_op sets the array to the gradient; add_gradient_op adds
/// the gradient to it.
extern const Op keep_gradient_op;
extern const Op add_gradient_op;
/// Inputs: average, array, decay as a float64 scalar. Computes average = decay average + (1 -
/// decay) array.
extern const Op moving_average_op;
/// Groups several updates: it completes when all of its inputs have.
extern const Op updates_op;

/// Returns a struct of doubles as a float64 array.
template <class Numbers>
Tensor numbers_tensor(const Numbers& numbers) {
  Tensor result({static_cast<int64_t>(sizeof numbers / sizeof(double))}, DType::float64);
  std::memcpy(result.bytes(), &numbers, sizeof numbers);
  return result;
}

}  // namespace rapt::internal
