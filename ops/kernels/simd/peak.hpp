// Loops that reach the peak rates of the processor. Other kernels are compared with them.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

struct PeakKernels {
  /// Number of floating-point operations per round of multiply_add.
  int64_t flops_per_round;
  /// Runs independent multiply-adds in registers. Returns their sum, so that the compiler cannot
  /// remove them.
  float (*multiply_add)(int64_t rounds);
  /// Returns the sum of n floats.
  float (*read)(const float* from, int64_t n);
  void (*write)(float* to, float value, int64_t n);
  /// Copies n floats. `from` and `to` must not overlap.
  void (*copy)(const float* from, float* to, int64_t n);
};
RAPT_KERNEL_TABLE(PeakKernels)

}  // namespace rapt::kernels
