// Optimizer updates of one parameter, in one pass over memory.
//
// Elements are independent, so a parameter may be split anywhere. Numbers that change from step to
// step are read through pointers when the kernel runs.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// Numbers of an SGD step, the same for all elements.
struct SgdNumbers {
  double lr;
  double momentum;
  double decay;     // L2 regularisation: adds decay * parameter to the gradient
  double nesterov;  // 1 for Nesterov momentum
};

/// Computes g = scale grad + decay p, u = momentum u + g, p -= lr u. Nesterov takes g + momentum u
/// in place of the last u. Without a velocity, p -= lr g.
template <class T>
struct SgdUpdate {
  T* parameter;
  T* velocity;  // may be null
  const T* gradient;
  const SgdNumbers* numbers;
  const double* scale;  // factor of the gradient; null for 1
};

/// Numbers of an Adam step, the same for all elements. They include the bias correction.
struct AdamNumbers {
  double beta1, beta2, eps;
  double step;    // lr / (1 - beta1^t)
  double root;    // 1 / sqrt(1 - beta2^t)
  double shrink;  // 1 - lr * weight decay (AdamW), or 1
  double decay;   // L2 regularisation (Adam), or 0
};

/// Computes, in this order: p *= shrink; g = scale grad + decay p; m += (1 - beta1)(g - m); v =
/// beta2 v + (1 - beta2) g^2; p -= step m / (root sqrt(v) + eps).
template <class T>
struct AdamUpdate {
  T* parameter;
  T* mean;
  T* variance;
  const T* gradient;
  const AdamNumbers* numbers;
  const double* scale;  // factor of the gradient; null for 1
};

/// The kernels. All work on elements [begin, end).
template <class T>
struct OptimizerFunctions {
  void (*sgd)(const SgdUpdate<T>& update, int64_t begin, int64_t end);
  void (*adam)(const AdamUpdate<T>& update, int64_t begin, int64_t end);
  /// Computes sum += x.
  void (*accumulate)(T* sum, const T* x, int64_t begin, int64_t end);
  /// Computes average += (1 - decay)(x - average).
  void (*average)(T* average, const T* x, double decay, int64_t begin, int64_t end);
  /// Returns the sum of x^2. The order of summation depends on end - begin alone. For finite floats
  /// the result is finite, and 0 only if all are 0. For doubles, squares may overflow or underflow.
  double (*sum_of_squares)(const T* x, int64_t begin, int64_t end);
};

struct OptimizerKernels {
  OptimizerFunctions<float> f32;
  OptimizerFunctions<double> f64;
};
RAPT_KERNEL_TABLE(OptimizerKernels)

}  // namespace rapt::kernels
