// Arguments of the matrix product: batched, with an optional bias, activation and residual that are
// applied before the result leaves the registers or the cache.
//
// plan() cuts a product into tasks. The cut is a pure function of sizes and strides. Tasks write
// disjoint regions of C, so they may run in any order and on any threads. The result is bitwise
// identical in every case. Each element of C is summed over k in one fixed order, whichever task
// computes it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/activation.hpp"

namespace rapt::kernels {

/// Computes C = activation(alpha * A B + beta * C + bias) + residual for each item of a batch.
/// Rounding follows this order, so adding the residual in a separate pass gives the same bits.
///
/// A is [m, k], B is [k, n] and C is [m, n]. The columns of C are adjacent. Strides count elements.
/// All strides of A and B give correct results, 0 included. Strides of 1 in one direction are fast.
/// C must not overlap A, B or the residual, and the items of C must not overlap each other.
template <class T>
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  int64_t a_row = 0, a_col = 1;
  const T* b = nullptr;
  int64_t b_row = 0, b_col = 1;
  bool b_packed = false;  ///< True if `b` points to the packed copy of B that pack() made.
  T* c = nullptr;
  int64_t c_row = 0;
  T alpha = 1;
  T beta = 0;                   ///< With 0, C is never read and may be uninitialised.
  const T* bias = nullptr;      ///< [n], added to every row of every item; or null.
  const T* residual = nullptr;  ///< Laid out as C; or null. Only allowed without an activation.
  Activation activation = Activation::none;
  int64_t batch = 1;
  int64_t a_batch = 0, b_batch = 0, c_batch = 0;  ///< Strides between items; 0 repeats A or B.
};

/// A product cut into tasks. Callers need only `tasks` and `scratch_bytes`.
struct GemmPlan {
  int64_t tasks = 0;         ///< Number of tasks; 0 if C is empty.
  size_t scratch_bytes = 0;  ///< Scratch per concurrent run(), aligned to 64 bytes; may be 0.

  /// The algorithm. `tiles`: register tiles that read B in place. `packed`: register tiles that
  /// read B from a packed copy, made block by block. `dots`: dot products of rows of A and columns
  /// of B. `dots_packed`: the same after transposing B. `row`: one row of A times B in place.
  enum class Form : int8_t { tiles, packed, dots, dots_packed, row } form = Form::tiles;
  bool pack_a = false;
  int64_t rest = 0;  // Remainder columns, computed separately. Not included in what follows.
  int64_t row_blocks = 1, panels = 1, k_blocks = 1;        // Counts for one item.
  int64_t row_tasks = 1, panel_tasks = 1, task_items = 1;  // task_items > 1: a task is whole items.
};

}  // namespace rapt::kernels
