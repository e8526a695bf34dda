// Packing of A and B into the layouts that the register tiles read.
#pragma once

#include "ops/kernels/gemm/gemm_tile.hpp"
#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/simd.hpp"
#include "ops/kernels/simd/transpose.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Cuts n into `count` parts whose sizes differ by at most 1. The longer parts come first.
struct Parts {
  Parts(int64_t n, int64_t count)
      : base(count == 1 ? n : n / count), extra(count == 1 ? 0 : n % count) {}
  int64_t begin(int64_t i) const { return i * base + (i < extra ? i : extra); }
  int64_t size(int64_t i) const { return i < extra ? base + 1 : base; }
  int64_t base, extra;
};

/// Transposes k steps of `lanes` columns, each adjacent in k, into out[p * width + lane]. column(j)
/// returns the address of column j at step p.
template <class T, class Columns>
inline void pack_steps(const Columns& column, int64_t k, T* out, int64_t width) {
  constexpr int64_t L = lanes<T>, S = short_lanes<T>, G = group<T>;
  int64_t p = 0;
  if constexpr (isa.strips && sizeof(T) == 4) {
    for (; p + strip_steps <= k; p += strip_steps, out += strip_steps * width) {
      transpose_strip([&](int64_t j) { return column(j) + p; }, out, width);
    }
  }
  for (; p + G <= k; p += G) {
#pragma GCC unroll 2
    for (int64_t j = 0; j < L; j += S) {
      Short<T> x[G], y[G];
#pragma GCC unroll 4
      for (int64_t r = 0; r < G; ++r) {
        x[r] = load_groups<T>([&](int64_t q) { return column(j + q * G + r) + p; });
      }
      transpose_groups<T>(x, y);
#pragma GCC unroll 4
      for (int64_t r = 0; r < G; ++r) y[r].store_unaligned(out + r * width + j);
    }
    out += G * width;
  }
  for (; p < k; ++p, out += width) {
    for (int64_t j = 0; j < L; ++j) out[j] = column(j)[p];
  }
}

/// Packs one vector's width of columns of B, each adjacent in k, into out[p * width + lane]. With
/// fewer columns than lanes, the last column is repeated. Results computed from the repeats are
/// never stored.
template <class T>
inline void pack_columns(const T* b, int64_t b_col, int64_t k, int64_t columns, T* out,
                         int64_t width) {
  constexpr int64_t L = lanes<T>;
  if (columns < L) {
    const T* from[L];
    for (int64_t j = 0; j < L; ++j) from[j] = b + (j < columns ? j : columns - 1) * b_col;
    pack_steps<T>([&](int64_t j) { return from[j]; }, k, out, width);
    return;
  }
  // Keep one pointer per four columns: addressing modes reach the other three from it. The asm
  // hides from the compiler that the pointers are related. Otherwise it makes one pointer per
  // column.
  constexpr int64_t pointers = (L + 3) / 4;
  const T* from[pointers];
#pragma GCC unroll 4
  for (int64_t i = 0; i < pointers; ++i) {
    from[i] = b + i * 4 * b_col;
    asm("" : "+r"(from[i]));
  }
  pack_steps<T>([&](int64_t j) { return from[j / 4] + j % 4 * b_col; }, k, out, width);
}

/// Prefetches n elements.
template <class T>
inline void prefetch_row(const T* p, int64_t n) {
  constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < n; i += line) __builtin_prefetch(p + i);
}

/// Copies B[k, columns] to out[k, width], where width is `columns` rounded up to whole vectors.
template <class T>
inline void pack_panel(const T* b, int64_t b_row, int64_t b_col, int64_t k, int64_t columns, T* out,
                       int64_t width) {
  constexpr int64_t L = lanes<T>;
  if (b_col == 1) {
    const int64_t whole = columns / L * L;
    const Tail<T> tail(columns > whole ? columns - whole : 1);
    for (int64_t p = 0; p < k; ++p) {
      prefetch_row(b + rows_ahead * b_row, columns);
      for (int64_t j = 0; j < whole; j += L) store(out + j, load(b + j));
      if (columns > whole) store(out + whole, tail.load(b + whole));
      b += b_row;
      out += width;
    }
  } else if (b_row == 1) {
    for (int64_t j = 0; j < width; j += L) {
      pack_columns(b + j * b_col, b_col, k, smaller(columns - j, L), out + j, width);
    }
  } else {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < width; ++j) {
        out[p * width + j] = b[p * b_row + (j < columns ? j : columns - 1) * b_col];
      }
    }
  }
}

/// Packs panels first .. last - 1 of B one after the other, each laid out as by pack_panel.
/// `columns` columns exist from the first panel on. Panel sizes count vectors.
template <class T>
inline void pack_panels(const T* b, int64_t b_row, int64_t b_col, int64_t k, int64_t columns,
                        const Parts& panels, int64_t first, int64_t last, T* out) {
  constexpr int64_t L = lanes<T>;
  if (b_col != 1 || last - first == 1) {
    for (int64_t q = first; q < last; ++q) {
      const int64_t j = (panels.begin(q) - panels.begin(first)) * L;
      const int64_t width = panels.size(q) * L;
      pack_panel(b + j * b_col, b_row, b_col, k, smaller(columns - j, width), out + j * k, width);
    }
    return;
  }
  // Copy one row of all panels before the next row: rows of B lie outside the near caches and long
  // reads are faster.
  const int64_t all = panels.begin(last) - panels.begin(first), whole = columns / L;
  const Tail<T> tail(whole < all ? columns - whole * L : 1);
  for (int64_t p = 0; p < k; ++p, b += b_row) {
    prefetch_row(b + rows_ahead * b_row, columns);
    const T* from = b;
    T* to = out;
    int64_t left = whole;
    for (int64_t q = first; q < last; ++q) {
      const int64_t vectors = panels.size(q);
      T* const row = to + p * vectors * L;
      const int64_t here = smaller(left, vectors);
      for (int64_t v = 0; v < here; ++v) store(row + v * L, load(from + v * L));
      if (here < vectors) store(row + here * L, tail.load(from + here * L));
      from += vectors * L;
      to += vectors * L * k;
      left -= vectors;
    }
  }
}

/// Packs row blocks first .. last - 1 of A[m, k]. Each becomes an array [k, width]; these are
/// `stride` apart.
template <class T>
inline void pack_row_blocks(const T* a, int64_t a_row, int64_t a_col, int64_t m, int64_t k,
                            const Parts& rows, int64_t first, int64_t last, T* out, int64_t width,
                            int64_t stride) {
  constexpr int64_t L = lanes<T>;
  if (a_row != 1) {
    for (int64_t block = first; block < last; ++block, out += stride) {
      pack_panel(a + rows.begin(block) * a_row, a_col, a_row, k, rows.size(block), out, width);
    }
    return;
  }
  // Copy one column of all blocks before the next column. Whole vectors may include rows past the
  // end of a block. These are never read.
  const int64_t begin = rows.begin(first), behind = m - rows.begin(last - 1);
  const int64_t end = behind < width ? last - 1 : last;
  const int64_t high = rows.extra < first ? first : rows.extra < end ? rows.extra : end;
  a += begin;
  for (int64_t p = 0; p < k; ++p, a += a_col, out += width) {
    prefetch_row(a + rows_ahead * a_col, rows.begin(last) - begin);
    const T* from = a;
    T* to = out;
    const auto copy = [&](int64_t height) {
      for (int64_t v = 0; v < width; v += L) store(to + v, load(from + v));
      from += height;
      to += stride;
    };
    for (int64_t block = first; block < high; ++block) copy(rows.base + 1);
    for (int64_t block = high; block < end; ++block) copy(rows.base);
    if (end == last) continue;
    int64_t v = 0;
    for (; v + L <= behind; v += L) store(to + v, load(from + v));
    if (v < behind) store(to + v, Tail<T>(behind - v).load(from + v));
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
