// Matrix products, batched, with a bias, an activation and a residual applied on the way out.
//
// A product is cut into tasks by plan(), a pure function of sizes and strides. Tasks write disjoint
// regions of C and may run in any order, on any threads, or one after the other: the bits are the
// same. Each element of C sums over k in one order, whatever the task it falls in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <rapt/ops/kernels/table.hpp>

namespace rapt::kernels {

/// gelu is the exact form, x * (1 + erf(x / sqrt(2))) / 2; silu is x * sigmoid(x).
enum class Activation { none, relu, gelu, tanh, sigmoid, silu };

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

template <class T>
struct GemmKernels {
  /// Elements of the copy of B that the product makes as it goes, and that several may share: 0
  /// where it makes none. Otherwise it follows from n and k.
  int64_t (*packed_size)(const Gemm<T>&);
  /// The copy is made in so many parts, which follow from n; and these, first .. last - 1 of them.
  int64_t (*pack_parts)(const Gemm<T>&);
  void (*pack)(const Gemm<T>&, T* packed, int64_t first, int64_t last);
  /// Reads sizes, strides, whether there is a bias and whether B is packed; no element.
  GemmPlan (*plan)(const Gemm<T>&);
  /// Runs tasks first .. last - 1 of the plan's. Neighbours cost less in one call than in several,
  /// as they share what is packed. Calls at the same time need scratch of their own.
  void (*run)(const Gemm<T>&, const GemmPlan&, void* scratch, int64_t first, int64_t last);
};

struct GemmTable {
  GemmKernels<float> f32;
  GemmKernels<double> f64;
};

RAPT_KERNEL_TABLE(GemmTable)

template <class T>
GemmPlan plan_gemm(const Gemm<T>& g) {
  return kernels_for<GemmTable, T>().plan(g);
}

template <class T>
void run_gemm(const Gemm<T>& g, const GemmPlan& plan, void* scratch, int64_t first, int64_t last) {
  kernels_for<GemmTable, T>().run(g, plan, scratch, first, last);
}

/// To how many calls of run() a plan's tasks go, where `threads` share the product, done `repeats`
/// times on other operands: neighbours share what is packed. One or two threads make one
/// call each; of more, one that is late would keep many waiting, so they make two. A call has some
/// 15 microseconds of arithmetic at least.
template <class T>
int64_t calls_for(const Gemm<T>& g, const GemmPlan& plan, int64_t repeats, int threads) {
  if (threads <= 1) return 1;
  constexpr double least = 1 << 20;
  const double operations = 2.0 * static_cast<double>(g.m) * static_cast<double>(g.n) *
                            static_cast<double>(g.k * g.batch) / static_cast<double>(plan.tasks);
  const int64_t all = plan.tasks * repeats;
  const auto together = static_cast<int64_t>(least / (operations + 1)) + 1;
  const int64_t most = (all + together - 1) / together;
  const int64_t wanted = threads > 2 ? 2 * threads : threads;
  return most < wanted ? most : wanted;
}

/// All of it in the calling thread. `scratch` has plan_gemm(g).scratch_bytes.
template <class T>
void gemm(const Gemm<T>& g, void* scratch) {
  const GemmPlan plan = plan_gemm(g);
  run_gemm(g, plan, scratch, 0, plan.tasks);
}

}  // namespace rapt::kernels
