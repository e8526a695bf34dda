// The kernel that runs pointwise programs.
#pragma once

#include "ops/kernels/elementwise/pointwise_program.hpp"
#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

struct PointwiseKernels {
  /// Runs the program for the points begin <= i < end: the values do not depend on how a space is
  /// split into ranges, to the bit. In float or in double arithmetic.
  void (*run_f32)(const PointwiseProgram&, const PointwiseArguments&, int64_t begin, int64_t end);
  void (*run_f64)(const PointwiseProgram&, const PointwiseArguments&, int64_t begin, int64_t end);

  /// Drops dimensions of extent 1 and merges neighbours that every operand steps through evenly,
  /// in place. Numbers of points stay what they were. At least one dimension remains.
  void (*collapse)(PointwiseSpace& space, PointwiseOperand* inputs, int input_count,
                   PointwiseOperand* outputs, int output_count);
};
RAPT_KERNEL_TABLE(PointwiseKernels)

}  // namespace rapt::kernels
