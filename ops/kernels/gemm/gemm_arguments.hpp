// Matrix products, batched, with a bias, an activation and a residual applied on the way out.
//
// A product is cut into tasks by plan(), a pure function of sizes and strides. Tasks write disjoint
// regions of C and may run in any order, on any threads, or one after the other: the bits are the
// same. Each element of C sums over k in one order, whatever the task it falls in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/activation.hpp"

namespace rapt::kernels {

/// C = activation(alpha * A B + beta * C + bias) + residual, for each item of a batch; rounded in
/// this order, so that the residual may as well be added afterwards.
///
/// A is [m, k], B is [k, n], C is [m, n] with adjacent columns. Strides count elements. Any strides
/// of A and B are correct, 0 too; those with a stride of 1 in one direction are fast. C overlaps
/// neither A, B nor the residual, and its items do not overlap.
template <class T>
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  int64_t a_row = 0, a_col = 1;
  const T* b = nullptr;
  int64_t b_row = 0, b_col = 1;
  bool b_packed = false;  ///< b is what pack() made of B.
  T* c = nullptr;
  int64_t c_row = 0;
  T alpha = 1;
  T beta = 0;                   ///< 0: C is never read, and may be uninitialised.
  const T* bias = nullptr;      ///< [n], added to every row of every item, or null.
  const T* residual = nullptr;  ///< Laid out as C, or null. Without an activation only.
  Activation activation = Activation::none;
  int64_t batch = 1;
  int64_t a_batch = 0, b_batch = 0, c_batch = 0;  ///< From item to item; 0 repeats an A or a B.
};

/// How one product is cut up. Only `tasks` and `scratch_bytes` matter to the caller.
struct GemmPlan {
  int64_t tasks = 0;         ///< 0 where C is empty.
  size_t scratch_bytes = 0;  ///< For each call of run() at a time, aligned to 64 bytes; may be 0.

  /// tiles: register tiles, B read in place; packed: the same with B copied block by block;
  /// dots: rows of A times columns of B; dots_packed: the same with B transposed first; row: a
  /// single row times B in place.
  enum class Form : int8_t { tiles, packed, dots, dots_packed, row } form = Form::tiles;
  bool pack_a = false;
  int64_t rest = 0;  // Last columns that are done by themselves, and have no part in what follows.
  int64_t row_blocks = 1, panels = 1, k_blocks = 1;        // Of one item.
  int64_t row_tasks = 1, panel_tasks = 1, task_items = 1;  // task_items > 1: whole items.
};

}  // namespace rapt::kernels
