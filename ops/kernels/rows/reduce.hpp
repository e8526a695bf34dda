// Reductions over one dimension, and cumulative sums.
//
// Work is cut into tasks by shape alone, and partial results are combined in a fixed order. Results
// are therefore bitwise identical for any number of threads and any assignment of tasks.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// The reductions. max and min return NaN if an element is NaN. argmax returns the index of the
/// first NaN, or else of the first maximum. For an empty dimension: sum and sum_of_squares give 0,
/// max -inf, min inf, logsumexp -inf, argmax 0.
enum class Reduction : uint8_t { sum, sum_of_squares, max, min, logsumexp, argmax };

/// An array [outer, n, inner] to be reduced over n. The `inner` elements are contiguous. Rows are
/// row_stride elements apart and outer slices outer_stride elements apart; 0 broadcasts. With inner
/// == 1, n must be contiguous: row_stride is 1.
struct ReduceShape {
  int64_t outer, n, inner;
  int64_t outer_stride, row_stride;
};

/// A reduction cut into tasks: n into chunks, inner into tiles, outer into blocks. A pure function
/// of the arguments. Callers need tasks, combine_tasks and scratch.
struct ReducePlan {
  Reduction reduction;
  ReduceShape shape;
  int64_t chunk, chunks;  // elements of n per chunk
  int64_t tile, tiles;    // columns per tile
  int64_t outer_block;    // slices per task
  int64_t tasks;          // run each of 0 .. tasks - 1 once, in any order
  int64_t combine_tasks;  // run after all tasks; 0 if not needed
  int64_t scratch;        // elements of T that the caller provides, uninitialised
};

template <class T>
struct ReduceFunctions {
  /// Runs one task. out: [outer, inner] of T, or of int32_t for argmax. rest: null, or for
  /// logsumexp an array [outer, inner] that receives the rounding errors of the results (0 if the
  /// result is not finite). scratch: plan.scratch elements, shared by all tasks of one reduction.
  void (*run)(const ReducePlan& plan, const T* x, void* out, T* rest, T* scratch, int64_t task);
  void (*combine)(const ReducePlan& plan, T* scratch, void* out, T* rest, int64_t task);

  /// Computes y[o, i, c] = sum of x[o, k, c] over k <= i, or over k >= i if reversed. Adds one by
  /// one in double. y is contiguous and may alias x if x is contiguous as well. The number of tasks
  /// is cumsum_tasks.
  void (*cumsum)(const ReduceShape& shape, const T* x, T* y, bool reversed, int64_t task);
};

struct ReduceKernels {
  ReducePlan (*plan)(Reduction reduction, const ReduceShape& shape);
  int64_t (*cumsum_tasks)(const ReduceShape& shape);
  ReduceFunctions<float> f32;
  ReduceFunctions<double> f64;
};
RAPT_KERNEL_TABLE(ReduceKernels)

}  // namespace rapt::kernels
