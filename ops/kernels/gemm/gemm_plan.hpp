// The plan of a matrix product: which algorithm computes it, in which blocks, in how many tasks.
//
// A plan is made in four steps. simplify() turns the product into an equivalent one that is easier.
// choose() picks the algorithm and its blocks, by the table in its comment. cut() groups the blocks
// into tasks. Last, scratch_elements() says how much memory a task needs. All are pure functions of
// sizes and strides.
#pragma once

#include "ops/kernels/gemm/gemm_arguments.hpp"
#include "ops/kernels/gemm/gemm_block.hpp"
#include "ops/kernels/gemm/gemm_dots.hpp"
#include "ops/kernels/gemm/gemm_rest.hpp"
#include "ops/kernels/gemm/gemm_tile.hpp"
#include "ops/kernels/simd/integers.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Minimum work of a task in multiply-adds of floats: about 30 microseconds with AVX-512.
inline constexpr int64_t task_work = int64_t{1} << 21;
inline constexpr int64_t most_tasks = 32;

// Columns per panel: in a product of one row, and in dot products.
inline constexpr int64_t row_panel = 128;
inline constexpr int64_t dots_panel = 8;

/// True if simplify() would leave the product unchanged.
template <class T>
bool is_simple(const Gemm<T>& g) {
  return (g.batch <= 1 || g.b_batch != 0) && g.n > 1 && g.k > 0;
}

/// Returns an equivalent product with fewer items, or with more than one column, where the strides
/// allow it.
template <class T>
Gemm<T> simplify(Gemm<T> g) {
  if (g.batch > 1 && g.b_batch == 0) {
    const bool one_row = g.m == 1;
    if (one_row || (g.a_batch == g.m * g.a_row && g.c_batch == g.m * g.c_row)) {
      if (one_row) {
        g.a_row = g.a_batch;
        g.c_row = g.c_batch;
      }
      g.m *= g.batch;
      g.batch = 1;
    }
  }
  // A contiguous column of C can be computed as a row: C' = B' A'.
  if (g.n == 1 && !g.b_packed && g.m > 1 && g.c_row == 1 && g.bias == nullptr) {
    const T* const a = g.a;
    g.a = g.b;
    g.b = a;
    const int64_t a_row = g.a_row, a_col = g.a_col, a_batch = g.a_batch;
    g.a_col = g.b_row;
    g.a_batch = g.b_batch;
    g.b_row = a_col;
    g.b_col = a_row;
    g.b_batch = a_batch;
    g.n = g.m;
    g.m = 1;
  }
  if (g.n == 1) g.b_col = g.b_row == 1 ? g.k : 1;
  if (g.k == 0) {  // No element is read, but the code still adds offsets to the pointers.
    g.a = g.b = g.c;
    g.a_row = g.a_col = g.b_row = g.b_col = g.a_batch = g.b_batch = 0;
  }
  return g;
}

/// True if rows of B, read in place, evict each other from L1. Each row of a panel occupies its own
/// cache line. If the leading dimension is a multiple of a large power of two, these lines map to
/// few cache sets.
template <class T>
bool rows_collide(const Gemm<T>& g) {
  constexpr int64_t line = 64, sets = 64, ways = 8;
  const int64_t bytes = g.b_row * static_cast<int64_t>(sizeof(T)), apart = bytes / line;
  if (bytes % line != 0) return false;
  const int64_t power = smaller(apart & -apart, sets);
  return smaller(g.k, block_depth) * power > sets * ways;
}

/// Returns the number of rows of A from which a packed copy of B pays off: the copy is made once
/// and read by every row block.
template <class T>
int64_t rows_for_packing(const Gemm<T>& g) {
  const bool straddles = g.b_row * static_cast<int64_t>(sizeof(T)) % 64 != 0;
  if (panels_stay && rows_collide(g)) return 30;
  return straddles ? 64 : 128;
}

constexpr int64_t depth_blocks(int64_t k) { return larger(1, (k + block_depth / 2) / block_depth); }

/// Chooses how a simplified product is computed: form, pack_a and the number of blocks.
///
/// The form is that of the first line that fits. "rows" means that rows are adjacent in memory:
/// those of A in k, those of B in n. "columns" means adjacent in k, for B.
///
///   B          A     size                      form         reason
///   is packed  any   any                       packed       the copy exists
///   any        any   k = 0                     tiles        nothing is read
///   columns    rows  n <= 4 or m <= few        dots         no copy; few is 4, or 16 for long sums
///   any        rows  n <= 4 and m >= 16        dots_packed  the copy is small, tiles too wide
///   not rows   any   any                       packed       tiles read rows of B
///   rows       any   m = 1                     row          B is read once, in long rows
///   rows       any   row >= 512 bytes, m >= M  packed       many rows of A read the copy
///   rows       any   any                       tiles        B is read in place
///
///   M is 128; 64 if rows of B straddle cache lines; 30 if they evict each other from an L1 in
///   which a panel should stay. Sums are long from k = 256.
///
///   form            panels               row blocks           blocks of k
///   row             128 columns          1                    1
///   dots, dots_..   8 columns            up to dot_rows       1
///   tiles, packed   one tile             one tile             about 256
///
/// The tile is the widest that allows the usual number of rows, then the highest of that width.
/// Tiles read A in place, unless pack_a:
///
///   A                                                                            pack_a
///   one row, or k = 0                                                            no
///   adjacent in no direction                                                     yes
///   adjacent in m, a block spans > 64 KB, which outlives L1, and is read again   yes
///   otherwise                                                                    no
///
/// A block of A is read again by six panels or more if panels stay in L1. Otherwise it counts as
/// read again if there is more than one block.
template <class T>
GemmPlan choose(const Gemm<T>& g) {
  constexpr auto size = static_cast<int64_t>(sizeof(T));
  constexpr int64_t l1_span = 65536;
  const bool a_rows = g.a_col == 1, b_rows = g.b_col == 1, b_columns = g.b_row == 1 && !b_rows;
  const int64_t few = g.k >= 256 ? 16 : 4;
  using Form = GemmPlan::Form;
  GemmPlan plan;
  if (g.b_packed) {
    plan.form = Form::packed;
  } else if (g.k == 0) {
    plan.form = Form::tiles;
  } else if (b_columns && a_rows && (g.n <= 4 || g.m <= few)) {
    plan.form = Form::dots;
  } else if (a_rows && g.n <= 4 && g.m >= 16) {
    plan.form = Form::dots_packed;
  } else if (!b_rows) {
    plan.form = Form::packed;
  } else if (g.m == 1) {
    plan.form = Form::row;
  } else {
    const bool copy = g.n * size >= 512 && g.m >= rows_for_packing(g);
    plan.form = copy ? Form::packed : Form::tiles;
  }

  if (plan.form == Form::row) {
    plan.panels = ceil_div(g.n, row_panel);
    return plan;
  }
  if (plan.form == Form::dots || plan.form == Form::dots_packed) {
    plan.panels = ceil_div(g.n, dots_panel);
    plan.row_blocks = ceil_div(g.m, dot_rows);
    return plan;
  }
  // All products that share a packed B have the panels of the usual number of rows.
  const int64_t rows = ceil_div(g.m, ceil_div(g.m, usual_rows)), vectors = ceil_div(g.n, lanes<T>);
  plan.panels = ceil_div(vectors, tile_vectors(g.b_packed ? usual_rows : static_cast<int>(rows)));
  plan.row_blocks = ceil_div(g.m, rows_beside(ceil_div(vectors, plan.panels)));
  plan.k_blocks = depth_blocks(g.k);
  if (g.m > 1 && g.k > 0 && !a_rows) {
    const bool read_again = panels_stay ? plan.panels >= 6 : plan.row_blocks > 1;
    plan.pack_a = g.a_row != 1 || (read_again && g.k * g.a_col * size > l1_span);
  }
  return plan;
}

/// Groups the blocks of a plan into tasks: row_tasks x panel_tasks for each item, or whole items.
///
///   work of an item                  tasks
///   all items < 2 tasks' worth       one for all items
///   < 1 task's worth, or many items  one for some items
///   more                             the next lower power of two per item, at most 32 in all
template <class T>
void cut(const Gemm<T>& g, GemmPlan& plan) {
  // Products with a short side are limited by memory, so a short side counts as 8.
  const int64_t work = larger(g.m, 8) * larger(g.n, 8) * larger(g.k, 8) *
                       static_cast<int64_t>(sizeof(T) / sizeof(float));
  const bool packed = plan.form == GemmPlan::Form::packed;
  if (work < task_work || g.batch >= most_tasks) {
    const bool one_task = work * g.batch < 2 * task_work;
    plan.task_items = one_task ? g.batch : smaller(g.batch, larger(1, task_work / work));
  } else {
    int64_t wanted = 1;
    while (wanted * 2 * task_work <= work && wanted * g.batch < most_tasks) wanted *= 2;
    // Halve the longer side until there are enough tasks. If B is packed, every row of tasks packs
    // it again. If A has few rows, reading B dominates. In both cases the columns are split first.
    const int64_t shortest = packed ? 128 : 2 * tile_rows;
    while (plan.row_tasks * plan.panel_tasks < wanted) {
      const int64_t rows = g.m / plan.row_tasks, columns = g.n / plan.panel_tasks;
      const bool can_rows = plan.row_tasks * 2 <= plan.row_blocks && rows >= 2 * shortest;
      const bool can_columns = plan.panel_tasks * 2 <= plan.panels;
      if (!can_rows && !can_columns) break;
      // A packed A is packed again for each column of tasks.
      const bool columns_first = plan.pack_a ? rows < 2 * shortest
                                 : packed    ? columns >= 256
                                             : columns >= rows;
      if (can_columns && (columns_first || !can_rows)) {
        plan.panel_tasks *= 2;
      } else {
        plan.row_tasks *= 2;
      }
    }
    // If some tasks had one panel more than others, the others would wait for them.
    if (plan.panels < 2 * plan.panel_tasks) plan.panel_tasks = plan.panels;
  }
  plan.tasks = plan.task_items > 1 ? ceil_div(g.batch, plan.task_items)
                                   : g.batch * plan.row_tasks * plan.panel_tasks;
}

/// Returns the elements of scratch that a call of run() needs.
template <class T>
int64_t scratch_elements(const Gemm<T>& g, const GemmPlan& plan) {
  if (plan.form == GemmPlan::Form::dots_packed) return g.n * g.k;
  const int64_t for_a = packed_rows(g, plan);
  if (plan.form != GemmPlan::Form::packed || g.b_packed) return for_a;
  const Parts panels(ceil_div(g.n, lanes<T>), plan.panels);
  const int64_t depths = depths_together(plan);
  const int64_t together = smaller(panels_together<T>(panels, depths), plan.panels);
  return for_a + depths * ceil_div(g.k, plan.k_blocks) * panels.begin(together) * lanes<T>;
}

/// Plans a simplified product. If its last few columns are cheaper apart and there is one task per
/// item, plans the others and notes the last ones as `rest`.
template <class T>
GemmPlan plan_simple(const Gemm<T>& g) {
  if (g.m <= 0 || g.n <= 0 || g.batch <= 0) return {};
  for (int64_t rest = rest_columns(g);; rest = 0) {
    Gemm<T> others = g;
    others.n -= rest;
    GemmPlan plan = choose(others);
    cut(others, plan);
    int64_t scratch = scratch_elements(others, plan);
    if (rest > 0) {
      // Dot products round differently from tiles. A B that was packed for several products always
      // takes the tiles. The result must not depend on that, so such products have no rest.
      const bool same_bits = g.a_col != 1 || plan.form != GemmPlan::Form::packed;
      if (!same_bits || plan.row_tasks * plan.panel_tasks > 1) continue;
      plan.rest = rest;
      scratch = larger(scratch, rest_scratch(g, rest));  // Shared by both.
    }
    plan.scratch_bytes = static_cast<size_t>(scratch) * sizeof(T);
    return plan;
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
