// A block of a matrix product: a few panels of B over one block of k, times rows of A. This file
// holds the cache blocking parameters and the loops over row blocks and panels.
#pragma once

#include "ops/kernels/gemm/gemm_activation.hpp"
#include "ops/kernels/gemm/gemm_arguments.hpp"
#include "ops/kernels/gemm/gemm_pack.hpp"
#include "ops/kernels/gemm/gemm_tile.hpp"
#include "ops/kernels/simd/integers.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Width of a block of B in bytes; its depth is one block of k. `deep_bytes` is the narrower width
// used where two blocks of k are processed together. The rows of C written by the first are then
// still in L1 for the second.
inline constexpr int64_t block_bytes = panels_stay ? 4096 : 2048;
inline constexpr int64_t deep_bytes = 512;

// Number of row blocks of A processed together, and number of panels of B packed together.
inline constexpr int64_t blocks_together = panels_stay ? 16 : 8;
inline constexpr int64_t panels_at_once = panels_stay ? 4 : 2;

// Operands larger than this are assumed to lie outside the near caches.
inline constexpr int64_t near_bytes = 262144;

/// Returns the number of panels in a block of B.
template <class T>
inline int64_t panels_together(const Parts& panels, int64_t depths) {
  const int64_t widest = (panels.base + (panels.extra != 0)) * static_cast<int64_t>(sizeof(Vec<T>));
  return larger(1, (depths > 1 ? deep_bytes : block_bytes) / widest);
}

/// Returns the number of blocks of k processed together. It is 1 if A is packed, because A is
/// packed once per block of B and narrower blocks of B would be more numerous.
inline int64_t depths_together(const GemmPlan& plan) {
  return panels_stay || plan.pack_a || plan.k_blocks == 1 ? 1 : 2;
}

/// Returns the distance between packed row blocks of A. It includes one extra cache line: blocks
/// are written side by side and must not map to the same few sets of L1.
constexpr int64_t block_stride(int64_t rows, int64_t depth) { return rows * depth + 16; }

/// Returns the scratch elements for packed rows of A, in whole cache lines.
template <class T>
inline int64_t packed_rows(const Gemm<T>& g, const GemmPlan& plan) {
  if (!plan.pack_a) return 0;
  const int64_t depth = ceil_div(g.k, plan.k_blocks), height = ceil_div(g.m, plan.row_blocks);
  if (!panels_stay) return round_up(blocks_together * height, lanes<T>) * depth;
  return smaller(blocks_together, plan.row_blocks) *
         block_stride(round_up(height, lanes<T>), depth);
}

/// A part of one item, in row blocks and panels.
struct Region {
  int64_t row_first, row_last, panel_first, panel_last;
};

/// The blocking that all items of a batch share.
template <class T>
struct Layout {
  Layout(const Gemm<T>& g, const GemmPlan& plan)
      : rows(g.m, plan.row_blocks),
        panels(ceil_div(g.n, lanes<T>), plan.panels),
        depths(g.k, plan.k_blocks),
        group_depths(depths_together(plan)),
        group_panels(plan.panels == 1 ? 1 : panels_together<T>(panels, group_depths)),
        pack_b(plan.form == GemmPlan::Form::packed),
        apart(!pack_b && g.k * g.n > near_elements),
        a_rows(!plan.pack_a && g.a_col == 1 ? ARows::rows : ARows::columns) {}
  int64_t column(int64_t panel) const { return panels.begin(panel) * lanes<T>; }
  Parts rows, panels, depths;
  int64_t group_depths, group_panels;
  bool pack_b, apart;
  ARows a_rows;  // A single row fits both kinds. A packed A is of kind `columns`.

 private:
  static constexpr int64_t near_elements = near_bytes / static_cast<int64_t>(sizeof(T));
};

/// Returns the epilogue for the tile at row i and column j of C.
template <class T>
inline Finish<T> finish_at(const Gemm<T>& g, T beta, int64_t i, int64_t j) {
  return {g.alpha, beta, g.bias != nullptr ? g.bias + j : nullptr,
          g.residual != nullptr ? g.residual + i * g.c_row + j : nullptr};
}

/// One block of k and some adjacent panels of B, in one item of a product.
template <class T>
class Block {
 public:
  Block(const Gemm<T>& product, const GemmPlan& how, const Layout<T>& shared, int64_t k_block,
        int64_t panel_first, int64_t panel_last, T* scratch)
      : g(product),
        layout(shared),
        pack_a(how.pack_a),
        pack_b(shared.pack_b && !product.b_packed),
        first(k_block == 0),
        final(k_block + 1 == how.k_blocks),
        p(shared.depths.begin(k_block)),
        depth(shared.depths.size(k_block)),
        panel(panel_first),
        panel_end(panel_last),
        begin(shared.column(panel_first)),
        packed_a(scratch),
        packed_b(scratch + packed_rows(product, how)),
        // A packed copy of all of B stores its blocks of k one after the other. Each block consists
        // of its panels.
        packed(pack_b ? packed_b : g.b + p * shared.column(how.panels) + begin * depth) {}

  /// Runs panels of B in the outer loop and groups of row blocks of A in the inner loop.
  void run_panels(const Region& region) const {
    // If all rows of the region fit into one group, packed panels are read once and their buffer is
    // reused.
    const bool keep = region.row_last - region.row_first > blocks_together;
    const int64_t padded = round_up(layout.rows.size(0), lanes<T>);
    const int64_t stride = block_stride(padded, depth);
    const int64_t a_step = pack_a ? padded : layout.a_rows == ARows::rows ? g.a_row : g.a_col;
    for (int64_t low = region.row_first; low < region.row_last; low += blocks_together) {
      const int64_t high = smaller(low + blocks_together, region.row_last);
      if (pack_a) {
        pack_row_blocks(g.a + p * g.a_col, g.a_row, g.a_col, g.m, depth, layout.rows, low, high,
                        packed_a, padded, stride);
      }
      for (int64_t some = panel; some < panel_end; some += panels_at_once) {
        const int64_t some_end = smaller(some + panels_at_once, panel_end);
        const int64_t dropped = keep || !pack_b ? 0 : offset(some);
        if (pack_b && low == region.row_first) pack(some, some_end, offset(some) - dropped);
        for (int64_t q = some; q < some_end; ++q) {
          const T* const b = at(q) - dropped;
          for (int64_t block = low; block < high; ++block) {
            multiply(block, q, pack_a ? packed_a + (block - low) * stride : in_place(block), a_step,
                     b);
          }
        }
      }
      if (final) activate_rows(low, high);
    }
  }

  /// Packs this block of B, if it needs packing.
  void prepare() const {
    for (int64_t q = panel; pack_b && q < panel_end; q += panels_at_once) {
      pack(q, smaller(q + panels_at_once, panel_end), offset(q));
    }
  }
  /// Returns the scratch of a block that is processed together with this one.
  T* behind() const { return packed_b + (pack_b ? offset(panel_end) : 0); }

  /// Multiplies the next row block of A in the region by all panels of B. It is always inlined
  /// because small products notice the call.
  [[gnu::always_inline]] void run_row(const Region& region, int64_t block) const {
    int64_t a_step;
    const T* const a = rows_of(region, block, a_step);
    for (int64_t q = panel; q < panel_end; ++q) multiply(block, q, a, a_step, at(q));
    if (final) activate_rows(block, block + 1);
  }

  /// True if the region's first row block can pack B while multiplying, which replaces prepare().
  bool copies(const Region& region) const {
    const int64_t height = layout.rows.size(region.row_first);
    return pack_b && g.b_col == 1 && height >= least_copying_rows && height <= usual_rows;
  }
  /// Multiplies the region's first row block and packs B on the way, so that memory access and
  /// arithmetic overlap.
  [[gnu::noinline]] void run_copying(const Region& region) const {
    int64_t a_step;
    const int64_t block = region.row_first;
    const T* const a = rows_of(region, block, a_step);
    for (int64_t q = panel; q < panel_end; ++q) {
      if (layout.panels.size(q) == copying_vectors) {
        multiply<true>(block, q, a, a_step, g.b + p * g.b_row + layout.column(q));
      } else {
        pack(q, q + 1, offset(q));
        multiply(block, q, a, a_step, at(q));
      }
    }
    if (final) activate_rows(block, block + 1);
  }

 private:
  int64_t offset(int64_t q) const { return (layout.column(q) - begin) * depth; }
  const T* in_place(int64_t block) const {
    return g.a + layout.rows.begin(block) * g.a_row + p * g.a_col;
  }
  /// Returns the address of panel q of B, assuming that all packed panels of the block are kept.
  const T* at(int64_t q) const {
    return layout.pack_b ? packed + offset(q) : g.b + p * g.b_row + layout.column(q);
  }
  void pack(int64_t q, int64_t q_end, int64_t to) const {
    const int64_t j = layout.column(q);
    pack_panels(g.b + p * g.b_row + j * g.b_col, g.b_row, g.b_col, depth,
                smaller(layout.column(q_end), g.n) - j, layout.panels, q, q_end, packed_b + to);
  }
  /// Returns the address of a row block of A as tiles read it. Packs a group of row blocks when it
  /// reaches the first of them.
  [[gnu::always_inline]] const T* rows_of(const Region& region, int64_t block,
                                          int64_t& a_step) const {
    a_step = layout.a_rows == ARows::rows ? g.a_row : g.a_col;
    if (!pack_a) return in_place(block);
    const Parts& rows = layout.rows;
    const int64_t low = block - (block - region.row_first) % blocks_together;
    const int64_t high =
        rows.begin(smaller(low + blocks_together, region.row_last)) - rows.begin(low);
    a_step = round_up(high, lanes<T>);
    if (block == low) {
      pack_panel(g.a + rows.begin(low) * g.a_row + p * g.a_col, g.a_col, g.a_row, depth, high,
                 packed_a, a_step);
    }
    return packed_a + (rows.begin(block) - rows.begin(low));
  }
  /// Multiplies a row block by a panel of B. With Copying, the panel is read in place and packed on
  /// the way.
  template <bool Copying = false>
  void multiply(int64_t block, int64_t q, const T* a, int64_t a_step, const T* b) const {
    constexpr int64_t L = lanes<T>;
    const int64_t i = layout.rows.begin(block), height = layout.rows.size(block);
    const int64_t j = layout.column(q), width = layout.panels.size(q) * L;
    const int64_t last = g.n - j < width ? g.n - j - (width - L) : L;
    Finish<T> finish{g.alpha, first ? g.beta : T(1)};
    if (final) finish = finish_at(g, finish.beta, i, j);
    T* const c = g.c + i * g.c_row + j;
    if constexpr (Copying) {
      copying_tile_of<T>(layout.a_rows, height)(depth, a, a_step, b, g.b_row, c, g.c_row, last,
                                                finish, packed_b + offset(q));
    } else {
      const auto tile = layout.apart ? tile_of<T, true>(layout.a_rows, height, width / L, last)
                                     : tile_of<T>(layout.a_rows, height, width / L, last);
      tile(depth, a, a_step, b, layout.pack_b ? width : g.b_row, c, g.c_row, last, finish);
    }
  }
  void activate_rows(int64_t low, int64_t high) const {
    const int64_t i = layout.rows.begin(low), height = layout.rows.begin(high) - i;
    const int64_t columns = smaller(layout.column(panel_end), g.n) - begin;
    activate(g.activation, height, columns, g.c + i * g.c_row + begin, g.c_row);
  }

  const Gemm<T>& g;
  const Layout<T>& layout;
  const bool pack_a, pack_b, first, final;
  const int64_t p, depth, panel, panel_end, begin;
  T *const packed_a, *const packed_b;
  const T* const packed;
};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
