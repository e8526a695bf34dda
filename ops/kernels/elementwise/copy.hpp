// Copies between strided views: transposes, slices, broadcasts made real, parts put together.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// A copy between two views of one shape, cut into tasks by shape and strides alone. Users need
/// `tasks`; the rest is the copy's own order of dimensions.
struct CopyPlan {
  int element_bytes;  // 1, 4 or 8
  int dims;
  int64_t shape[8];
  int64_t from_strides[8];
  int64_t to_strides[8];
  bool transposed;  // reads run along the last dimension but one, writes along the last
  int64_t units;    // rows, or strips of rows
  int64_t units_per_task;
  int64_t tasks;
};

struct CopyKernels {
  /// Plans the copy of a view of up to 8 dimensions. Strides in elements, of any sign; a stride of
  /// 0 in `from_strides` repeats, and no two elements of `to` may be the same. The views must not
  /// overlap.
  CopyPlan (*plan)(int element_bytes, int dims, const int64_t* shape, const int64_t* from_strides,
                   const int64_t* to_strides);
  /// Runs one of the tasks 0 .. plan.tasks - 1, in any order.
  void (*run)(const CopyPlan& plan, const void* from, void* to, int64_t task);
};
RAPT_KERNEL_TABLE(CopyKernels)

}  // namespace rapt::kernels
