// Loops that show what the processor can do at most: the measure that the other kernels' rates are
// held against.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

struct PeakKernels {
  /// Floating-point operations of one round of multiply_add.
  int64_t flops_per_round;
  /// Independent multiply-adds in registers; returns what they add up to, so that none is left out.
  float (*multiply_add)(int64_t rounds);
  /// The sum of n floats.
  float (*read)(const float* from, int64_t n);
  void (*write)(float* to, float value, int64_t n);
  /// `from` and `to` must not overlap.
  void (*copy)(const float* from, float* to, int64_t n);
};
RAPT_KERNEL_TABLE(PeakKernels)

}  // namespace rapt::kernels
