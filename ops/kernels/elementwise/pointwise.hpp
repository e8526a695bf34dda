// The kernels that run pointwise programs.
#pragma once

#include "ops/kernels/elementwise/pointwise_program.hpp"
#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

struct PointwiseKernels {
  /// Runs the program for the points begin <= i < end, in float or double arithmetic. The values
  /// are bitwise identical for any split of the space into ranges.
  void (*run_f32)(const PointwiseProgram&, const PointwiseArguments&, int64_t begin, int64_t end);
  void (*run_f64)(const PointwiseProgram&, const PointwiseArguments&, int64_t begin, int64_t end);

  /// Drops axes of extent 1 and merges neighbouring axes that every operand steps through evenly,
  /// in place. The numbering of points does not change. At least one axis remains.
  void (*collapse)(PointwiseSpace& space, PointwiseOperand* inputs, int input_count,
                   PointwiseOperand* outputs, int output_count);
};
RAPT_KERNEL_TABLE(PointwiseKernels)

}  // namespace rapt::kernels
