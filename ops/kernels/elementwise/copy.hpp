// Copies between strided views: transposes, slices, materialised broadcasts, concatenation.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// A copy between two views of the same shape, cut into tasks by shape and strides alone. Callers
/// need `tasks`. The rest is the internal order of axes.
struct CopyPlan {
  int element_bytes;  // 1, 4 or 8
  int dims;
  int64_t shape[8];
  int64_t from_strides[8];
  int64_t to_strides[8];
  bool transposed;  // source is contiguous along the last axis but one, destination along the last
  int64_t units;    // rows, or strips of rows
  int64_t units_per_task;
  int64_t tasks;
};

struct CopyKernels {
  /// Plans the copy of a view of up to 8 axes. Strides count elements and may be negative. A stride
  /// of 0 in `from_strides` broadcasts. No two elements of `to` may coincide. The views must not
  /// overlap.
  CopyPlan (*plan)(int element_bytes, int dims, const int64_t* shape, const int64_t* from_strides,
                   const int64_t* to_strides);
  /// Runs one of the tasks 0 .. plan.tasks - 1. Tasks may run in any order.
  void (*run)(const CopyPlan& plan, const void* from, void* to, int64_t task);
};
RAPT_KERNEL_TABLE(CopyKernels)

}  // namespace rapt::kernels
