// Matrix products: plans how a product is cut into tasks, and runs the tasks.
//
// A plan first picks an algorithm: register tiles, dot products or a single row. The register-tile
// path cuts n into panels (one tile wide), m into row blocks (one tile high) and k into blocks of
// about 256. Where panels are wide, a row block of A stays in L1 and a block of B, some panels
// wide, stays in L2. Where a panel fits into half of L1, the panel stays there and row blocks of A
// pass by. B is packed only if it is transposed or if many rows of A read it. A is packed only if
// it is strided or if its column accesses would evict each other from L1. The remainder of n that
// fills less than a vector may be computed separately, as dot products or as rows of a transposed
// product.
#include "ops/kernels/gemm/gemm.hpp"

#include "ops/kernels/gemm/gemm_activation.hpp"
#include "ops/kernels/gemm/gemm_block.hpp"
#include "ops/kernels/gemm/gemm_dots.hpp"
#include "ops/kernels/gemm/gemm_rest.hpp"
#include "ops/kernels/gemm/gemm_row.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

using Form = GemmPlan::Form;

// A row block of A that is read column by column and spans more bytes than this does not stay in
// L1.
constexpr int64_t pack_a_bytes = 65536;

// Minimum work of a task in multiply-adds of floats: about 30 microseconds with AVX-512.
constexpr int64_t task_work = int64_t{1} << 21;
constexpr int64_t most_tasks = 32;

// Number of columns per panel in a product of one row.
constexpr int64_t row_panel = 128;

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

/// True if B is packed although its rows could be read in place. Packing pays off if many rows of A
/// read B. The threshold is lower if vectors of B's rows straddle two cache lines or if its rows
/// collide in L1.
template <class T>
bool copies_b(const Gemm<T>& g) {
  constexpr auto size = static_cast<int64_t>(sizeof(T));
  const bool straddles = g.b_row * size % 64 != 0;
  if (g.n * size < 512) return false;
  if (panels_stay) return g.m >= (rows_collide(g) ? 30 : straddles ? 64 : 128);
  return g.m >= (straddles ? 64 : 128);
}

template <class T>
Form form_of(const Gemm<T>& g) {
  if (g.b_packed) return Form::packed;
  if (g.k == 0) return Form::tiles;
  // Dot products must reduce lanes at the end, whereas packing must transpose B first. Dot products
  // win for few rows, and for more rows if the sums are long.
  const int64_t few = g.k >= 256 ? 16 : 4;
  if (g.a_col == 1 && g.b_row == 1 && g.b_col != 1 && (g.n <= 4 || g.m <= few)) return Form::dots;
  if (g.a_col == 1 && g.n <= 4 && g.m >= 16) return Form::dots_packed;
  if (g.b_col != 1) return Form::packed;
  if (g.m == 1) return Form::row;
  return copies_b(g) ? Form::packed : Form::tiles;
}

/// True if rows of A are packed so that they are adjacent for each k.
template <class T>
bool packs_a(const Gemm<T>& g, const GemmPlan& plan) {
  constexpr auto size = static_cast<int64_t>(sizeof(T));
  if (g.m == 1 || g.k == 0) return false;
  if (g.a_col != 1 && g.a_row != 1) return true;
  if (panels_stay) {
    return g.a_col != 1 && plan.panels >= 6 && g.k * g.a_col * size > pack_a_bytes;
  }
  return g.a_col != 1 && plan.row_blocks > 1 && g.k * g.a_col * size > pack_a_bytes;
}

constexpr int64_t depth_blocks(int64_t k) { return larger(1, (k + block_depth / 2) / block_depth); }

/// Returns the plan of a simplified product that treats all columns alike.
template <class T>
GemmPlan plan_evenly(const Gemm<T>& g) {
  GemmPlan plan;
  if (g.m <= 0 || g.n <= 0 || g.batch <= 0) return plan;
  plan.form = form_of(g);
  const bool dots = plan.form == Form::dots || plan.form == Form::dots_packed;
  if (plan.form == Form::row) {
    plan.panels = ceil_div(g.n, row_panel);
  } else if (dots) {
    plan.row_blocks = ceil_div(g.m, dot_rows);
    plan.panels = ceil_div(g.n, 8);
  } else {
    // Take the widest tile that allows the usual number of rows, then the highest tile of that
    // width.
    const int64_t rows = ceil_div(g.m, ceil_div(g.m, usual_rows)),
                  vectors = ceil_div(g.n, lanes<T>);
    const int beside = g.b_packed ? usual_rows : static_cast<int>(rows);
    plan.panels = ceil_div(vectors, tile_vectors(beside));
    plan.row_blocks = ceil_div(g.m, rows_beside(ceil_div(vectors, plan.panels)));
    plan.k_blocks = depth_blocks(g.k);
    plan.pack_a = packs_a(g, plan);
  }

  // Products with a short side are limited by memory, so a short side counts as 8.
  const int64_t work = larger(g.m, 8) * larger(g.n, 8) * larger(g.k, 8) *
                       static_cast<int64_t>(sizeof(T) / sizeof(float));
  if (work < task_work || g.batch >= most_tasks) {
    const bool one_task = work * g.batch < 2 * task_work;
    plan.task_items = one_task ? g.batch : smaller(g.batch, larger(1, task_work / work));
  } else {
    int64_t wanted = 1;
    while (wanted * 2 * task_work <= work && wanted * g.batch < most_tasks) wanted *= 2;
    // Halve the longer side until there are enough tasks. If B is packed, every row of tasks packs
    // it again. If A has few rows, reading B dominates. In both cases the columns are split first.
    const int64_t shortest = plan.form == Form::packed ? 128 : 2 * tile_rows;
    while (plan.row_tasks * plan.panel_tasks < wanted) {
      const int64_t rows = g.m / plan.row_tasks, columns = g.n / plan.panel_tasks;
      const bool can_rows = plan.row_tasks * 2 <= plan.row_blocks && rows >= 2 * shortest;
      const bool can_columns = plan.panel_tasks * 2 <= plan.panels;
      if (!can_rows && !can_columns) break;
      // A packed A is packed again for each column of tasks.
      const bool columns_first = plan.pack_a                 ? rows < 2 * shortest
                                 : plan.form == Form::packed ? columns >= 256
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

  int64_t scratch = packed_rows(g, plan);
  if (plan.form == Form::packed && !g.b_packed) {
    const Parts panels(ceil_div(g.n, lanes<T>), plan.panels);
    const int64_t depths = depths_together(plan);
    const int64_t together = smaller(panels_together<T>(panels, depths), plan.panels);
    scratch += depths * ceil_div(g.k, plan.k_blocks) * panels.begin(together) * lanes<T>;
  } else if (plan.form == Form::dots_packed) {
    scratch += g.n * g.k;
  }
  plan.scratch_bytes = static_cast<size_t>(scratch) * sizeof(T);
  return plan;
}

template <class T>
GemmPlan plan_simple(const Gemm<T>& g) {
  if (const int64_t rest = rest_columns(g)) {
    Gemm<T> others = g;
    others.n -= rest;
    GemmPlan plan = plan_evenly(others);
    // Dot products round differently from tiles. A B that was packed for several products always
    // takes the tiles. The result must not depend on that, so such products take no dot products
    // here.
    const bool same = g.a_col != 1 || plan.form != Form::packed;
    if (same && plan.row_tasks * plan.panel_tasks == 1) {
      plan.rest = rest;
      const auto scratch = static_cast<size_t>(rest_scratch(g, rest)) * sizeof(T);
      if (scratch > plan.scratch_bytes) plan.scratch_bytes = scratch;  // Shared by both.
      return plan;
    }
  }
  return plan_evenly(g);
}

template <class T>
GemmPlan plan(const Gemm<T>& g) {
  return is_simple(g) ? plan_simple(g) : plan_simple(simplify(g));
}

// ---- packing B for several products -------------------------------------------------------------

/// Returns the number of panels. They are as wide as those of a product with the usual number of
/// rows.
template <class T>
int64_t pack_parts(const Gemm<T>& g) {
  return ceil_div(ceil_div(g.n, lanes<T>), tile_vectors(usual_rows));
}

template <class T>
int64_t packed_size(const Gemm<T>& given) {
  const Gemm<T> g = simplify(given);
  if (g.batch != 1 || g.m <= 0 || given.n <= 1 || g.k <= 0) return 0;
  if (form_of(g) != Form::packed) return 0;
  return ceil_div(g.n, lanes<T>) * lanes<T> * g.k;
}

template <class T>
void pack(const Gemm<T>& g, T* packed, int64_t first, int64_t last) {
  constexpr int64_t L = lanes<T>;
  const Parts panels(ceil_div(g.n, L), pack_parts(g)), depths(g.k, depth_blocks(g.k));
  const int64_t columns = ceil_div(g.n, L) * L;
  for (int64_t block = 0; block < depth_blocks(g.k); ++block) {
    const int64_t p = depths.begin(block), depth = depths.size(block);
    for (int64_t q = first; q < last; q += panels_at_once) {
      const int64_t q_end = smaller(q + panels_at_once, last), j = panels.begin(q) * L;
      pack_panels(g.b + p * g.b_row + j * g.b_col, g.b_row, g.b_col, depth,
                  smaller(panels.begin(q_end) * L, g.n) - j, panels, q, q_end,
                  packed + p * columns + j * depth);
    }
  }
}

/// Runs row blocks of A in the outer loop and the panels of one or two blocks of k in the inner
/// loop.
template <class... Blocks>
void run_rows(const Region& region, const Blocks&... blocks) {
  int64_t row = region.row_first;
  if ((blocks.copies(region) && ...)) {
    (blocks.run_copying(region), ...);
    ++row;
  } else {
    (blocks.prepare(), ...);
  }
  for (; row < region.row_last; ++row) (blocks.run_row(region, row), ...);
}

template <class T>
void run_tiles(const Gemm<T>& g, const GemmPlan& plan, const Layout<T>& layout,
               const Region& region, T* scratch) {
  const int64_t step = layout.group_panels, deep = layout.group_depths;
  for (int64_t panel = region.panel_first; panel < region.panel_last; panel += step) {
    const int64_t end = smaller(panel + step, region.panel_last);
    for (int64_t k_block = 0; k_block < plan.k_blocks; k_block += deep) {
      const Block<T> block(g, plan, layout, k_block, panel, end, scratch);
      if constexpr (panels_stay) {
        block.run_panels(region);
      } else if (deep == 1 || k_block + 1 == plan.k_blocks) {
        run_rows(region, block);
      } else {
        run_rows(region, block, Block<T>(g, plan, layout, k_block + 1, panel, end, block.behind()));
      }
    }
  }
}

/// Runs whole items that are one panel wide and need no packing. Batches of small products have
/// many such items, so the overhead around the tiles matters.
template <class T>
void run_narrow(const Gemm<T>& g, const GemmPlan& plan, const Layout<T>& layout, int64_t first,
                int64_t last) {
  constexpr int64_t L = lanes<T>;
  const int64_t vectors = ceil_div(g.n, L), in_last = g.n - (vectors - 1) * L;
  const auto tile_for = [&](int64_t height) {
    return layout.apart ? tile_of<T, true>(layout.a_rows, height, vectors, in_last)
                        : tile_of<T>(layout.a_rows, height, vectors, in_last);
  };
  const int64_t height = layout.rows.base, higher = layout.rows.extra;
  const auto low = tile_for(height), high = higher > 0 ? tile_for(height + 1) : low;
  const int64_t a_step = layout.a_rows == ARows::rows ? g.a_row : g.a_col;
  Finish<T> finish{g.alpha, g.beta, g.bias, g.residual};
  for (int64_t item = first; item < last; ++item) {
    const T *a = g.a + item * g.a_batch, *const b = g.b + item * g.b_batch;
    T* c = g.c + item * g.c_batch;
    for (int64_t block = 0; block < plan.row_blocks; ++block) {
      const int64_t rows = block < higher ? height + 1 : height;
      if (g.residual != nullptr) finish.residual = g.residual + (c - g.c);
      (block < higher ? high : low)(g.k, a, a_step, b, g.b_row, c, g.c_row, in_last, finish);
      a += rows * g.a_row;
      c += rows * g.c_row;
    }
    if (g.activation != Activation::none) {
      activate(g.activation, g.m, g.n, g.c + item * g.c_batch, g.c_row);
    }
  }
}

template <class T>
void run_dots(const Gemm<T>& g, const GemmPlan& plan, const Region& region, T* scratch) {
  const Parts parts(g.m, plan.row_blocks);
  const int64_t i = parts.begin(region.row_first), rows = parts.begin(region.row_last) - i;
  const int64_t j = region.panel_first * 8, columns = smaller(region.panel_last * 8, g.n) - j;
  const T* b = g.b + j * g.b_col;
  int64_t b_col = g.b_col;
  if (plan.form == Form::dots_packed) {
    for (int64_t p = 0; p < g.k; ++p) {
      for (int64_t q = 0; q < columns; ++q) scratch[q * g.k + p] = b[p * g.b_row + q * b_col];
    }
    b = scratch;
    b_col = g.k;
  }
  T* const c = g.c + i * g.c_row + j;
  dot_region(rows, columns, g.k, g.a + i * g.a_row, g.a_row, b, b_col, c, g.c_row,
             finish_at(g, g.beta, i, j));
  activate(g.activation, rows, columns, c, g.c_row);
}

template <class T>
void run_row(const Gemm<T>& g, const Region& region) {
  const int64_t j = region.panel_first * row_panel,
                columns = smaller(region.panel_last * row_panel, g.n) - j;
  row_region(columns, g.k, g.a, g.a_col, g.b + j, g.b_row, g.c + j, finish_at(g, g.beta, 0, j));
  activate(g.activation, 1, columns, g.c + j, g.c_row);
}

/// Calls body with one item of a batch as a product of its own. The first item is passed without a
/// copy, because copying the struct is noticeable in small products.
template <class T, class Body>
void with_item(const Gemm<T>& g, int64_t item, const Body& body) {
  if (item == 0) return body(g);
  Gemm<T> one = g;
  one.a += item * g.a_batch;
  one.b += item * g.b_batch;
  one.c += item * g.c_batch;
  if (one.residual != nullptr) one.residual += item * g.c_batch;
  body(one);
}

template <class T>
void run_region(const Gemm<T>& g, const GemmPlan& plan, const Layout<T>& layout,
                const Region& region, T* scratch) {
  if (plan.form == Form::dots || plan.form == Form::dots_packed) {
    run_dots(g, plan, region, scratch);
  } else if (plan.form == Form::row) {
    run_row(g, region);
  } else {
    run_tiles(g, plan, layout, region, scratch);
  }
}

/// Runs tasks of a plan made by plan_evenly().
template <class T>
void run_evenly(const Gemm<T>& g, const GemmPlan& plan, void* scratch, int64_t first,
                int64_t last) {
  const Layout<T> layout(g, plan);
  const auto run_item = [&](int64_t item, const Region& region) {
    with_item(g, item, [&](const Gemm<T>& one) {
      run_region(one, plan, layout, region, static_cast<T*>(scratch));
    });
  };
  const int64_t parts = plan.row_tasks * plan.panel_tasks;
  if (parts == 1) {
    const int64_t end = smaller(last * plan.task_items, g.batch);
    if (plan.form == Form::tiles && !plan.pack_a && plan.panels == 1 && plan.k_blocks == 1) {
      return run_narrow(g, plan, layout, first * plan.task_items, end);
    }
    for (int64_t item = first * plan.task_items; item < end; ++item) {
      run_item(item, {0, plan.row_blocks, 0, plan.panels});
    }
    return;
  }
  const Parts rows(plan.row_blocks, plan.row_tasks), panels(plan.panels, plan.panel_tasks);
  // Panels vary fastest, so that a thread computes whole rows, as the neighbouring operations do.
  // If A is packed, row blocks vary fastest, so that A is packed once. Consecutive tasks that form
  // a rectangle are merged into one region.
  const auto inner = plan.pack_a ? plan.row_tasks : plan.panel_tasks, outer = parts / inner;
  while (first < last) {
    const int64_t at = first % inner, line = first / inner % outer;
    const int64_t along = smaller(last - first, inner - at);
    const int64_t lines = along == inner ? smaller((last - first) / inner, outer - line) : 1;
    if (plan.pack_a) {
      run_item(first / parts, {rows.begin(at), rows.begin(at + along), panels.begin(line),
                               panels.begin(line + lines)});
    } else {
      run_item(first / parts, {rows.begin(line), rows.begin(line + lines), panels.begin(at),
                               panels.begin(at + along)});
    }
    first += along * lines;
  }
}

template <class T>
void run_simple(const Gemm<T>& g, const GemmPlan& plan, void* scratch, int64_t first,
                int64_t last) {
  if constexpr (quick_sums<T>) {
    if (plan.rest > 0) {
      const int64_t end = smaller(last * plan.task_items, g.batch);
      for (int64_t item = first * plan.task_items; item < end; ++item) {
        with_item(g, item,
                  [&](const Gemm<T>& one) { run_rest(one, plan.rest, static_cast<T*>(scratch)); });
      }
      Gemm<T> others = g;
      others.n -= plan.rest;
      return run_evenly(others, plan, scratch, first, last);
    }
  }
  run_evenly(g, plan, scratch, first, last);
}

template <class T>
void run(const Gemm<T>& g, const GemmPlan& plan, void* scratch, int64_t first, int64_t last) {
  if (first >= last) return;  // The plan of an empty product has no valid fields except `tasks`.
  if (is_simple(g)) return run_simple(g, plan, scratch, first, last);
  run_simple(simplify(g), plan, scratch, first, last);
}

}  // namespace

extern const GemmTable table_GemmTable = {
    {packed_size<float>, pack_parts<float>, pack<float>, plan<float>, run<float>},
    {packed_size<double>, pack_parts<double>, pack<double>, plan<double>, run<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
