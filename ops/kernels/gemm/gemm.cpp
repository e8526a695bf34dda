// The matrix product: runs the tasks of a plan. gemm_plan.hpp makes the plan, gemm_reference.hpp
// says what is computed.
//
// The register tiles (gemm_tiles.cpp) compute R rows by V vectors of C in registers, over a block
// of k. n is cut into panels, one tile wide, and m into row blocks, one tile high. The loops around
// the tile keep what it reads in a near cache:
//
//   for each item of the batch, for each task
//     for each block of B: some panels by a block of k      stays in L2; packed if the plan says so
//       for each row block of A                             stays in L1, while panels pass by
//         for each panel                                    one call of a tile
//
// Where a panel fits into half of L1 (panels_stay), the two inner loops change places: the panel
// stays in L1, and row blocks of A pass by. Blocks of k come in ascending order, so each element of
// C is one sum in one order, whatever the tasks. The last block of k applies bias, activation and
// residual.
//
// Short or narrow products take other paths: dot products (gemm_dots.hpp), one row (gemm_row.hpp).
// Last columns that fill less than a vector may be computed apart (gemm_rest.hpp).
#include "ops/kernels/gemm/gemm.hpp"

#include "ops/kernels/gemm/gemm_activation.hpp"
#include "ops/kernels/gemm/gemm_block.hpp"
#include "ops/kernels/gemm/gemm_dots.hpp"
#include "ops/kernels/gemm/gemm_plan.hpp"
#include "ops/kernels/gemm/gemm_rest.hpp"
#include "ops/kernels/gemm/gemm_row.hpp"
#include "ops/kernels/simd/integers.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

using Form = GemmPlan::Form;

template <class T>
GemmPlan plan(const Gemm<T>& g) {
  return plan_simple(is_simple(g) ? g : simplify(g));
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
  if (choose(g).form != Form::packed) return 0;
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
  const int64_t j = region.panel_first * dots_panel,
                columns = smaller(region.panel_last * dots_panel, g.n) - j;
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

/// Runs tasks of a plan made by plan_simple(), without its rest.
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
