// Matrix products: how one is cut up, and the loops over its blocks.
#include <rapt/ops/kernels/gemm.hpp>
#include <rapt/ops/kernels/gemm_activation.hpp>
#include <rapt/ops/kernels/gemm_dots.hpp>
#include <rapt/ops/kernels/gemm_pack.hpp>
#include <rapt/ops/kernels/gemm_tile.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

using Form = GemmPlan::Form;

// Sums over k are cut into blocks of about this many products, so that a row block of A stays in
// the L1 cache, and a block of B, this deep and this many bytes wide, in L2.
constexpr int64_t block_depth = 256;
constexpr int64_t block_bytes = 2048;

// Work worth a task of its own, in multiply-adds of floats: some 30 microseconds with AVX-512.
constexpr int64_t task_work = int64_t{1} << 21;
constexpr int64_t most_tasks = 64;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/// Where part i of `parts` even parts of n begins.
constexpr int64_t part(int64_t n, int64_t parts, int64_t i) { return n * i / parts; }

/// The same product with fewer items, or more columns than one, where the strides allow it.
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
  // A column of C with no gaps is as good a row: C' = B' A'.
  if (g.n == 1 && g.m > 1 && g.c_row == 1 && g.bias == nullptr) {
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
  if (g.k == 0) {  // Nothing is read; offsets are still taken.
    g.a = g.b = g.c;
    g.a_row = g.a_col = g.b_row = g.b_col = g.a_batch = g.b_batch = 0;
  }
  return g;
}

template <class T>
Form form_of(const Gemm<T>& g) {
  if (g.k == 0) return Form::tiles;
  if (g.a_col == 1 && g.b_row == 1 && g.b_col != 1 && (g.n <= 4 || g.m <= (g.k < 256 ? 4 : 16))) {
    return Form::dots;
  }
  if (g.a_col == 1 && g.n <= 4 && g.m >= 16) return Form::dots_packed;
  if (g.b_col != 1) return Form::packed;
  return g.m >= 256 && g.n * static_cast<int64_t>(sizeof(T)) >= 4000 ? Form::packed : Form::tiles;
}

template <class T>
GemmPlan plan(const Gemm<T>& given) {
  const Gemm<T> g = simplify(given);
  GemmPlan plan;
  if (g.m <= 0 || g.n <= 0 || g.batch <= 0) return plan;
  plan.form = form_of(g);
  const bool dots = plan.form == Form::dots || plan.form == Form::dots_packed;
  if (dots) {
    plan.row_blocks = ceil_div(g.m, dot_rows);
    plan.panels = ceil_div(g.n, 8);
  } else {
    plan.row_blocks = ceil_div(g.m, tile_rows);
    const int vectors = tile_vectors(static_cast<int>(ceil_div(g.m, plan.row_blocks)));
    plan.panels = ceil_div(ceil_div(g.n, lanes<T>), vectors);
    plan.k_blocks = larger(1, (g.k + block_depth / 2) / block_depth);
  }

  // Products with few rows or columns wait for memory: they count as some 8 rows.
  const int64_t work =
      larger(g.m, 8) * larger(g.n, 8) * g.k * static_cast<int64_t>(sizeof(T) / sizeof(float));
  if (work * g.batch < 2 * task_work || g.batch >= most_tasks) {
    plan.task_items = larger(1, smaller(g.batch, task_work / larger(work, 1)));
    plan.task_items = larger(plan.task_items, 1);
    if (work * g.batch < 2 * task_work) plan.task_items = g.batch;
  } else {
    int64_t wanted = 1;
    while (wanted * 2 * task_work <= work && wanted * g.batch < most_tasks) wanted *= 2;
    if (wanted == 1) plan.task_items = larger(1, task_work / work);
    // Halves whichever side is longer. Where B is copied, each row of tasks copies it again, and
    // where A has few rows, B is what has to be read: then columns are split first.
    const int64_t shortest = plan.form == Form::packed ? 128 : 2 * tile_rows;
    while (plan.row_tasks * plan.panel_tasks < wanted) {
      const int64_t rows = g.m / plan.row_tasks, columns = g.n / plan.panel_tasks;
      const bool can_rows = plan.row_tasks * 2 <= plan.row_blocks && rows >= 2 * shortest;
      const bool can_columns = plan.panel_tasks * 2 <= plan.panels;
      if (!can_rows && !can_columns) break;
      const bool columns_first = plan.form == Form::packed ? columns >= 256 : columns >= rows;
      if (can_columns && (columns_first || !can_rows)) {
        plan.panel_tasks *= 2;
      } else {
        plan.row_tasks *= 2;
      }
    }
  }
  plan.tasks = plan.task_items > 1 ? ceil_div(g.batch, plan.task_items)
                                   : g.batch * plan.row_tasks * plan.panel_tasks;

  if (plan.form == Form::packed) {
    const int64_t vectors = ceil_div(g.n, lanes<T>);
    const int64_t widest =
        smaller(ceil_div(vectors, plan.panel_tasks) + most_vectors,
                block_bytes / static_cast<int64_t>(sizeof(Vec<T>)) + most_vectors);
    plan.scratch_bytes =
        static_cast<size_t>(ceil_div(g.k, plan.k_blocks) * widest) * sizeof(Vec<T>);
  } else if (plan.form == Form::dots_packed) {
    plan.scratch_bytes = static_cast<size_t>(g.n * g.k) * sizeof(T);
  }
  return plan;
}

/// Row blocks [row_first, row_last) and panels [panel_first, panel_last) of one item.
template <class T>
void run_tiles(const Gemm<T>& g, const GemmPlan& plan, int64_t row_first, int64_t row_last,
               int64_t panel_first, int64_t panel_last, T* scratch) {
  constexpr int64_t L = lanes<T>;
  const int64_t vectors = ceil_div(g.n, L), blocks = plan.row_blocks;
  const bool packed = plan.form == Form::packed;
  for (int64_t panel = panel_first; panel < panel_last;) {
    const int64_t begin = part(vectors, plan.panels, panel) * L;
    int64_t panel_end = panel + 1;
    while (panel_end < panel_last && (part(vectors, plan.panels, panel_end + 1) * L - begin) *
                                             static_cast<int64_t>(sizeof(T)) <=
                                         block_bytes) {
      ++panel_end;
    }
    const int64_t end = smaller(part(vectors, plan.panels, panel_end) * L, g.n);
    for (int64_t k_block = 0; k_block < plan.k_blocks; ++k_block) {
      const int64_t p = part(g.k, plan.k_blocks, k_block);
      const int64_t depth = part(g.k, plan.k_blocks, k_block + 1) - p;
      const bool final = k_block + 1 == plan.k_blocks;
      if (packed) {
        for (int64_t q = panel; q < panel_end; ++q) {
          const int64_t j = part(vectors, plan.panels, q) * L;
          const int64_t width = part(vectors, plan.panels, q + 1) * L - j;
          pack_panel(g.b + p * g.b_row + j * g.b_col, g.b_row, g.b_col, depth,
                     smaller(width, g.n - j), scratch + (j - begin) * depth, width);
        }
      }
      for (int64_t block = row_first; block < row_last; ++block) {
        const int64_t i = part(g.m, blocks, block), rows = part(g.m, blocks, block + 1) - i;
        const T* const a = g.a + i * g.a_row + p * g.a_col;
        T* const c = g.c + i * g.c_row;
        for (int64_t q = panel; q < panel_end; ++q) {
          const int64_t j = part(vectors, plan.panels, q) * L;
          const int64_t width = part(vectors, plan.panels, q + 1) * L - j;
          const int64_t last = g.n - j < width ? g.n - j - (width - L) : L;
          const T* const b = packed ? scratch + (j - begin) * depth : g.b + p * g.b_row + j;
          const Finish<T> finish{g.alpha, k_block == 0 ? g.beta : T(1),
                                 final && g.bias != nullptr ? g.bias + j : nullptr};
          tiles<T>[last != L][rows - 1][width / L - 1](depth, a, g.a_row, g.a_col, b,
                                                       packed ? width : g.b_row, c + j, g.c_row,
                                                       last, finish);
        }
        if (final) activate(g.activation, rows, end - begin, c + begin, g.c_row);
      }
    }
    panel = panel_end;
  }
}

/// The same for products made of dot products.
template <class T>
void run_dots(const Gemm<T>& g, const GemmPlan& plan, int64_t row_first, int64_t row_last,
              int64_t panel_first, int64_t panel_last, T* scratch) {
  const int64_t i = part(g.m, plan.row_blocks, row_first);
  const int64_t rows = part(g.m, plan.row_blocks, row_last) - i;
  const int64_t j = panel_first * 8, columns = smaller(panel_last * 8, g.n) - j;
  const T* b = g.b + j * g.b_col;
  int64_t b_col = g.b_col;
  if (plan.form == Form::dots_packed) {
    for (int64_t q = 0; q < columns; ++q) {
      for (int64_t p = 0; p < g.k; ++p) scratch[q * g.k + p] = b[p * g.b_row + q * b_col];
    }
    b = scratch;
    b_col = g.k;
  }
  T* const c = g.c + i * g.c_row + j;
  dot_region(rows, columns, g.k, g.a + i * g.a_row, g.a_row, b, b_col, c, g.c_row,
             Finish<T>{g.alpha, g.beta, g.bias != nullptr ? g.bias + j : nullptr});
  activate(g.activation, rows, columns, c, g.c_row);
}

template <class T>
void run(const Gemm<T>& given, const GemmPlan& plan, void* scratch, int64_t task) {
  const Gemm<T> g = simplify(given);
  const int64_t parts = plan.row_tasks * plan.panel_tasks;
  const int64_t first = plan.task_items > 1 ? task * plan.task_items : task / parts;
  const int64_t last = smaller(first + plan.task_items, g.batch);
  const int64_t row_part = task % parts / plan.panel_tasks, panel_part = task % plan.panel_tasks;
  const bool whole = plan.task_items > 1;
  for (int64_t item = first; item < last; ++item) {
    Gemm<T> one = g;
    one.a += item * g.a_batch;
    one.b += item * g.b_batch;
    one.c += item * g.c_batch;
    const auto run_part =
        plan.form == Form::dots || plan.form == Form::dots_packed ? run_dots<T> : run_tiles<T>;
    run_part(one, plan, whole ? 0 : part(plan.row_blocks, plan.row_tasks, row_part),
             whole ? plan.row_blocks : part(plan.row_blocks, plan.row_tasks, row_part + 1),
             whole ? 0 : part(plan.panels, plan.panel_tasks, panel_part),
             whole ? plan.panels : part(plan.panels, plan.panel_tasks, panel_part + 1),
             static_cast<T*>(scratch));
  }
}

}  // namespace

extern const GemmTable table_GemmTable = {{plan<float>, run<float>}, {plan<double>, run<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
