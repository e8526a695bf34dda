// The operators that write to parameters and to an optimizer's own arrays. Each gives an empty
// array, which stands for "has been done".
#pragma once

#include <cstring>

#include "framework/graph/op.hpp"
#include "ops/kernels/elementwise/optimizer.hpp"

namespace rapt {

/// Inputs: parameter, gradient, SgdNumbers as float64 and, if it is scaled, the gradient's factor.
/// Where the factor is not finite, this and the next two change nothing.
extern const Op sgd_op;
/// Inputs: parameter, velocity, gradient, numbers, factor.
extern const Op sgd_momentum_op;
/// Inputs: parameter, mean, variance, gradient, AdamNumbers as float64, factor.
extern const Op adam_op;
/// Inputs: array, gradient; the array becomes the gradient, or is increased by it.
extern const Op keep_gradient_op;
extern const Op add_gradient_op;
/// Inputs: average, array, decay as a float64 scalar; average = decay average + (1 - decay) array.
extern const Op moving_average_op;
/// Stands for all of its inputs.
extern const Op updates_op;

/// A struct of doubles as a float64 array.
template <class Numbers>
Tensor numbers_tensor(const Numbers& numbers) {
  Tensor result({static_cast<int64_t>(sizeof numbers / sizeof(double))}, DType::float64);
  std::memcpy(result.bytes(), &numbers, sizeof numbers);
  return result;
}

}  // namespace rapt
