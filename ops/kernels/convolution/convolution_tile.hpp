// The register tile of convolutions: a matrix product that reads its left operand through tables.
#pragma once

#include "ops/kernels/gemm/gemm_pack.hpp"
#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/simd.hpp"
#include "ops/kernels/simd/transpose.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Maximum number of vectors of a tile, and maximum number of rows per vector count. Each row needs
// a pointer of its own, and the processor has 16 integer registers.
inline constexpr int most_panel_vectors = 4;
inline constexpr int most_table_rows = isa.registers == 32 ? 8 : 6;
constexpr int table_rows(int64_t vectors) {
  if constexpr (isa.registers == 32) return vectors == 4 ? 6 : 8;
  return vectors <= 2 ? 6 : vectors == 3 ? 4 : 2;
}

/// The operands that all tiles of one product share: C[place, j] (+)= sum over p of a[rows[i] +
/// steps[p]] * b[p, j]. Row i is written to row places[i] of C.
template <class T>
struct TableProduct {
  const T* a;
  const int32_t* steps;  // [depth]
  int64_t depth;
  const T* b;  // [depth, width]
  T* c;        // [.., width]
  bool add;    // true adds to C, false overwrites it
};

template <class T, int R, int V>
void table_tile(const TableProduct<T>& product, const int32_t* rows, const int32_t* places) {
  constexpr int64_t L = lanes<T>;
  Vec<T> sum[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[i][v] = Vec<T>(T(0));
  }
  const T* from[R];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    from[i] = product.a + rows[i];
    asm("" : "+r"(from[i]));  // keep the pointers: base plus index addressing is free
  }
  const T* b = product.b;
  const int32_t *step = product.steps, *const end = step + product.depth;
  const auto multiply = [&](int64_t offset) __attribute__((always_inline)) {
    Vec<T> row[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) row[v] = load(b + v * L);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vec<T> x(from[i][offset]);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[i][v] = multiply_add(x, row[v], sum[i][v]);
    }
    b += V * L;
  };
  for (; step + 2 <= end; step += 2) {
    multiply(step[0]);
    multiply(step[1]);
  }
  if (step < end) multiply(step[0]);
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    T* const to = product.c + places[i] * (V * L);
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      store(to + v * L, product.add ? load(to + v * L) + sum[i][v] : sum[i][v]);
    }
  }
}

template <class T>
using TableTile = void (*)(const TableProduct<T>&, const int32_t* rows, const int32_t* places);

template <class T, int V, int R = 1>
inline TableTile<T> table_tile_of(int64_t rows) {
  if constexpr (R < table_rows(V)) {
    if (rows > R) return table_tile_of<T, V, R + 1>(rows);
  }
  return table_tile<T, R, V>;
}

/// Computes all rows of a product that is `vectors` wide.
template <class T>
inline void table_product(const TableProduct<T>& product, int64_t vectors, const int32_t* rows,
                          const int32_t* places, int64_t count) {
  const auto tile_for = [&](int64_t height) {
    switch (vectors) {
      case 1:
        return table_tile_of<T, 1>(height);
      case 2:
        return table_tile_of<T, 2>(height);
      case 3:
        return table_tile_of<T, 3>(height);
      default:
        return table_tile_of<T, 4>(height);
    }
  };
  // Use tiles of nearly equal heights, so that there is no low remainder tile.
  const int64_t most = table_rows(vectors), tiles = ceil_div(count, most);
  if (tiles == 0) return;
  const Parts parts(count, tiles);
  const TableTile<T> low = tile_for(parts.base), high = tile_for(parts.base + 1);
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t first = parts.begin(i);
    (i < parts.extra ? high : low)(product, rows + first, places + first);
  }
}

/// Computes to[j * plane + p] = from[p * width + j] + bias[j] for p < rows and j < columns. The
/// bias may be null.
template <class T>
inline void put_transposed(const T* from, int64_t width, int64_t rows, int64_t columns, T* to,
                           int64_t plane, const T* bias) {
  constexpr int64_t L = short_lanes<T>, G = group<T>;
  for (int64_t p = 0; p < rows; p += L) {
    const int64_t n = smaller(rows - p, L);
    const T* row[L];
    for (int64_t i = 0; i < L; ++i) row[i] = from + (p + (i < n ? i : n - 1)) * width;
    for (int64_t j = 0; j < columns; j += G) {
      Short<T> x[G], y[G];
#pragma GCC unroll 4
      for (int64_t r = 0; r < G; ++r) {
        x[r] = load_groups<T>([&](int64_t q) { return row[q * G + r] + j; });
      }
      transpose_groups<T>(x, y);
      for (int64_t r = 0; r < G && j + r < columns; ++r) {
        if (bias != nullptr) y[r] += Short<T>(bias[j + r]);
        T* const place = to + (j + r) * plane + p;
        if (n == L) {
          y[r].store_unaligned(place);
        } else {
          T part[L];
          y[r].store_unaligned(part);
          for (int64_t i = 0; i < n; ++i) place[i] = part[i];
        }
      }
    }
  }
}

/// Copies a window of a plane [height, width] to contiguous memory: rows from first_row and columns
/// from first_column on. Elements outside the plane are zero. Each row is split into `parts` parts,
/// each with every parts-th element. May write up to one vector beyond the end.
template <class T>
inline void copy_window(const T* plane, int64_t height, int64_t width, int64_t first_row,
                        int64_t rows, int64_t first_column, int64_t columns, int64_t parts, T* to) {
  constexpr int64_t L = lanes<T>;
  // Clear a few elements with vector stores. The asm stops the compiler from turning the loop into
  // a call of memset, which is slow for so few.
  const auto clear = [](T* p, int64_t n) {
    for (int64_t j = 0; j < n; j += L) {
      store(p + j, Vec<T>(T(0)));
      asm("");
    }
  };
  const auto limited = [](int64_t i, int64_t most) { return i < 0 ? 0 : i < most ? i : most; };
  const int64_t left = limited(-first_column, columns);
  const int64_t begin = limited(first_column, width);
  const int64_t inside = limited(first_column + columns, width) - begin;
  const int64_t count = inside < 0 ? 0 : inside;
  const int64_t whole = count / L * L;
  const Tail<T> tail(count > whole ? count - whole : 1);
  for (int64_t i = 0; i < rows; ++i, to += columns) {
    const int64_t at = first_row + i;
    if (at < 0 || at >= height) {
      clear(to, columns);
      continue;
    }
    const T* const from = plane + at * width + begin;
    if (parts > 1) {
      const int64_t length = columns / parts;
      clear(to, columns);
      for (int64_t part = 0; part < parts; ++part) {
        // The first element inside the plane that belongs to this part.
        const int64_t first = (part - left % parts + parts) % parts;
        T* const place = to + part * length + (left + first) / parts;
        for (int64_t j = first, k = 0; j < count; j += parts, ++k) place[k] = from[j];
      }
      continue;
    }
    clear(to, left);
    for (int64_t j = 0; j < whole; j += L) store(to + left + j, load(from + j));
    if (count > whole) store(to + left + whole, tail.load(from + whole));
    clear(to + left + count, columns - left - count);
  }
  clear(to, L);
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
