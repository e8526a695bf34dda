// Reductions over one dimension, and cumulative sums.
//
// Work is cut into tasks by shape alone, and partial results are combined in a fixed order: the
// bits do not depend on who runs which task, nor on how many threads there are.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// max and min give NaN where there is one, argmax the first NaN's place, otherwise the place of
/// the first of the largest. Of an empty dimension: sum and sum_of_squares 0, max -inf, min inf,
/// logsumexp -inf, argmax 0.
enum class Reduction : uint8_t { sum, sum_of_squares, max, min, logsumexp, argmax };

/// An array [outer, n, inner] to be reduced over n. `inner` elements are contiguous; rows of inner
/// elements lie row_stride apart, outer slices outer_stride apart (both in elements; 0 repeats).
/// With inner == 1, n itself has to be contiguous: row_stride is 1.
struct ReduceShape {
  int64_t outer, n, inner;
  int64_t outer_stride, row_stride;
};

/// How a reduction is cut: n into chunks, inner into tiles, outer into blocks. A pure function of
/// what is asked for. Users need tasks, combine_tasks and scratch.
struct ReducePlan {
  Reduction reduction;
  ReduceShape shape;
  int64_t chunk, chunks;  // elements of n in one chunk
  int64_t tile, tiles;    // columns in one tile
  int64_t outer_block;    // slices in one task
  int64_t tasks;          // run each of 0 .. tasks - 1 once, in any order;
  int64_t combine_tasks;  // after all of them, each of these. 0: the result is there
  int64_t scratch;        // elements of T that the caller provides, not initialised
};

template <class T>
struct ReduceFunctions {
  /// out: [outer, inner] of T, or of int32_t for argmax. rest: null, or for logsumexp [outer,
  /// inner], what rounding to T took from the results; 0 where these are infinite. scratch:
  /// plan.scratch elements, shared by all tasks of one reduction.
  void (*run)(const ReducePlan& plan, const T* x, void* out, T* rest, T* scratch, int64_t task);
  void (*combine)(const ReducePlan& plan, T* scratch, void* out, T* rest, int64_t task);

  /// y[o, i, c] = sum of x[o, k, c] over k <= i, or over k >= i if reversed, added one by one in
  /// double. y is contiguous; it may be x where x is so too. Tasks: cumsum_tasks.
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
