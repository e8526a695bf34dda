// What an optimizer does to one parameter, in one pass over memory.
//
// Every element is computed by itself, so a parameter may be cut anywhere; numbers that change from
// step to step are read through pointers when the kernel runs.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// What is the same for all elements of an SGD step.
struct SgdNumbers {
  double lr;
  double momentum;
  double decay;     // of L2 regularisation: added to the gradient as decay * parameter
  double nesterov;  // 1: looks ahead along the velocity
};

/// g = scale grad + decay p;  u = momentum u + g;  p -= lr (u, or g + momentum u for Nesterov).
/// Without a velocity: p -= lr g.
template <class T>
struct SgdUpdate {
  T* parameter;
  T* velocity;  // or null
  const T* gradient;
  const SgdNumbers* numbers;
  const double* scale;  // of the gradient; null: 1
};

/// What is the same for all elements of an Adam step, the corrections of bias worked in.
struct AdamNumbers {
  double beta1, beta2, eps;
  double step;    // lr / (1 - beta1^t)
  double root;    // 1 / sqrt(1 - beta2^t)
  double shrink;  // 1 - lr * weight decay (AdamW), or 1
  double decay;   // L2 regularisation (Adam), or 0
};

/// p *= shrink;  g = scale grad + decay p;  m += (1 - beta1)(g - m);
/// v = beta2 v + (1 - beta2) g^2;  p -= step m / (root sqrt(v) + eps).
template <class T>
struct AdamUpdate {
  T* parameter;
  T* mean;
  T* variance;
  const T* gradient;
  const AdamNumbers* numbers;
  const double* scale;  // of the gradient; null: 1
};

/// All work on elements [begin, end).
template <class T>
struct OptimizerFunctions {
  void (*sgd)(const SgdUpdate<T>& update, int64_t begin, int64_t end);
  void (*adam)(const AdamUpdate<T>& update, int64_t begin, int64_t end);
  /// sum += x.
  void (*accumulate)(T* sum, const T* x, int64_t begin, int64_t end);
  /// average += (1 - decay)(x - average).
  void (*average)(T* average, const T* x, double decay, int64_t begin, int64_t end);
  /// The sum of x^2, in an order that follows from end - begin alone. Of finite floats it is
  /// finite, and 0 only where all are; of doubles the squares may overflow or vanish.
  double (*sum_of_squares)(const T* x, int64_t begin, int64_t end);
};

struct OptimizerKernels {
  OptimizerFunctions<float> f32;
  OptimizerFunctions<double> f64;
};
RAPT_KERNEL_TABLE(OptimizerKernels)

}  // namespace rapt::kernels
