// The register tile of the matrix product: R rows by V vectors of C, summed over one block of k.
#pragma once

#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// The number of rows that gives the fewest loads per multiplication.
inline constexpr int usual_rows = 6;

// Maximum number of rows of a tile.
inline constexpr int tile_rows = [] {
  int rows = 0;
  while (isa.tile_vectors[rows] > 0) ++rows;
  return rows;
}();

/// Returns the maximum number of vectors per row of a tile.
constexpr int tile_vectors(int rows) { return isa.tile_vectors[rows - 1]; }

// With 16 vector registers, accumulators stay in place only in a loop that is not unrolled. If it
// is unrolled, g++ moves and spills them.
inline constexpr bool few_registers = isa.registers < 32;

/// Returns the maximum number of rows of a tile with this many vectors.
constexpr int rows_beside(int64_t vectors) {
  int rows = tile_rows;
  while (rows > 1 && tile_vectors(rows) < vectors) --rows;
  return rows;
}
inline constexpr int most_vectors = 8;

// Target number of products per block of k.
inline constexpr int64_t block_depth = 256;

// True if a panel of B takes at most half of the L1 cache. The panel then stays in L1 while row
// blocks of A stream from L2. Otherwise a row block of A stays in L1 while panels of B stream from
// a block of B in L2.
inline constexpr bool panels_stay =
    tile_vectors(usual_rows) * sizeof(Vec<float>) * block_depth <= 16384;

// Prefetch distance for rows of B, in steps of k.
inline constexpr int64_t rows_ahead = 8;

/// The epilogue of a tile: C = (alpha * sum + (beta * C + bias)) + residual.
template <class T>
struct Finish {
  T alpha, beta;
  const T* bias = nullptr;      // May be null.
  const T* residual = nullptr;  // Has the leading dimension of C; may be null.
};

/// The part of a tile's last vector that exists: all of it, some of it, or at most its lower half.
enum class RowEnd { whole, part, half };

/// Layout of the rows of A that a tile reads: `rows` are adjacent in k, `columns` are adjacent in m
/// for each k.
enum class ARows { rows, columns };

/// Adds k products to each element of a tile [R, V vectors]. `a_step` is the distance between rows
/// of A (rows) or between steps of k (columns). The last vector has `last` elements.
template <class T>
using Tile = void (*)(int64_t k, const T* a, int64_t a_step, const T* b, int64_t b_row, T* c,
                      int64_t c_row, int64_t last, const Finish<T>& finish);

template <class T>
struct TileTable {
  Tile<T> of[2][3][tile_rows][most_vectors];  ///< [ARows][RowEnd][rows - 1][vectors - 1]
};

/// The tiles that tile_of() returns, defined in gemm_tiles.cpp. The second table prefetches B. It
/// is for a B beyond the near caches whose rows are far apart.
extern const TileTable<float> tile_tables_f32[2];
extern const TileTable<double> tile_tables_f64[2];

/// A tile of copying_vectors vectors that also packs B: it writes the rows of B contiguously to
/// `copy` as it reads them. It prefetches B.
template <class T>
using CopyingTile = void (*)(int64_t k, const T* a, int64_t a_step, const T* b, int64_t b_row, T* c,
                             int64_t c_row, int64_t last, const Finish<T>& finish, T* copy);
inline constexpr int copying_vectors = tile_vectors(usual_rows);
inline constexpr int least_copying_rows = usual_rows - 2;

template <class T>
struct CopyingTiles {
  CopyingTile<T> of[2][usual_rows - least_copying_rows + 1];  ///< [ARows][rows - least]
};

/// Empty if panels_stay: these tiles are for panels that stream from a block of B.
extern const CopyingTiles<float> copying_tiles_f32;
extern const CopyingTiles<double> copying_tiles_f64;

template <class T>
inline CopyingTile<T> copying_tile_of(ARows a, int64_t rows) {
  const CopyingTiles<T>* tiles;
  if constexpr (sizeof(T) == 4) {
    tiles = &copying_tiles_f32;
  } else {
    tiles = &copying_tiles_f64;
  }
  return tiles->of[static_cast<int>(a)][rows - least_copying_rows];
}

/// Returns the tile for this many rows and vectors. The last vector has `last` elements. Apart
/// selects tiles that prefetch B.
template <class T, bool Apart = false>
inline Tile<T> tile_of(ARows a, int64_t rows, int64_t vectors, int64_t last) {
  const RowEnd end = last == lanes<T>      ? RowEnd::whole
                     : last * 2 > lanes<T> ? RowEnd::part
                                           : RowEnd::half;
  const TileTable<T>* tables;
  if constexpr (sizeof(T) == 4) {
    tables = tile_tables_f32;
  } else {
    tables = tile_tables_f64;
  }
  return tables[Apart].of[static_cast<int>(a)][static_cast<int>(end)][rows - 1][vectors - 1];
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
