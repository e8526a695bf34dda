// The register tile of the matrix product: R rows by V vectors of C, summed over one block of k.
#pragma once

#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Maximum number of rows of a tile, and maximum number of vectors per row count. The accumulators,
// one row of B and one element of A stay in registers (32 with AVX-512 and NEON, otherwise 16).
// Tiles with few rows are wide: products with few rows are limited by reading B, and long stretches
// of its rows are read faster. Tiles with many rows keep the processor busy if B is narrow.
// usual_rows gives the fewest loads per multiplication.
inline constexpr int usual_rows = 6;
#if defined(RAPT_KERNEL_ISA_avx512)
inline constexpr int tile_rows = 14;
constexpr int tile_vectors(int rows) {
  constexpr int most[tile_rows] = {8, 8, 8, 6, 5, 4, 3, 3, 3, 2, 2, 2, 2, 2};
  return most[rows - 1];
}
#else
inline constexpr int tile_rows = usual_rows;
constexpr int tile_vectors(int rows) {
#if defined(__aarch64__)
  constexpr int most[tile_rows] = {8, 8, 8, 6, 4, 4};
#else
  constexpr int most[tile_rows] = {8, 6, 4, 3, 2, 2};
#endif
  return most[rows - 1];
}
#endif

// With 16 vector registers, accumulators stay in place only in a loop that is not unrolled. If it
// is unrolled, g++ moves and spills them.
#if defined(RAPT_KERNEL_ISA_avx512) || defined(__aarch64__)
inline constexpr bool few_registers = false;
#else
inline constexpr bool few_registers = true;
#endif

/// Returns the maximum number of rows of a tile with this many vectors.
constexpr int rows_beside(int64_t vectors) {
  int rows = tile_rows;
  while (rows > 1 && tile_vectors(rows) < vectors) --rows;
  return rows;
}
inline constexpr int most_vectors = 8;

// Prefetch distance for rows of B, in steps of k.
inline constexpr int64_t rows_ahead = 8;

// Masked access to the last, partial vector of a row: fewer than `lanes` elements.
#if defined(RAPT_KERNEL_ISA_avx512)
template <class T>
struct Tail {
  explicit Tail(int64_t n) : mask(static_cast<Mask>((1u << n) - 1u)) {}
  Vec<T> load(const T* p) const {
    if constexpr (sizeof(T) == 4) {
      return Vec<T>(_mm512_maskz_loadu_ps(mask, p));
    } else {
      return Vec<T>(_mm512_maskz_loadu_pd(mask, p));
    }
  }
  void store(T* p, const Vec<T>& v) const {
    if constexpr (sizeof(T) == 4) {
      _mm512_mask_storeu_ps(p, mask, v);
    } else {
      _mm512_mask_storeu_pd(p, mask, v);
    }
  }
  using Mask = std::conditional_t<sizeof(T) == 4, __mmask16, __mmask8>;
  Mask mask;
};
#elif defined(RAPT_KERNEL_ISA_avx2)
template <class T>
struct Tail {
  explicit Tail(int64_t n) {
    if constexpr (sizeof(T) == 4) {
      mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    } else {
      mask = _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
    }
  }
  Vec<T> load(const T* p) const {
    if constexpr (sizeof(T) == 4) {
      return Vec<T>(_mm256_maskload_ps(p, mask));
    } else {
      return Vec<T>(_mm256_maskload_pd(p, mask));
    }
  }
  void store(T* p, const Vec<T>& v) const {
    if constexpr (sizeof(T) == 4) {
      _mm256_maskstore_ps(p, mask, v);
    } else {
      _mm256_maskstore_pd(p, mask, v);
    }
  }
  __m256i mask;
};
#else
template <class T>
struct Tail {
  explicit Tail(int64_t count) : n(count) {}
  Vec<T> load(const T* p) const {
#if defined(__x86_64__)
    // Avoid a round trip through memory, which would add its latency to every step of k.
    if constexpr (sizeof(T) == 4) {
      if (n == 1) return Vec<T>(_mm_load_ss(p));
      double bits;
      __builtin_memcpy(&bits, p, sizeof bits);
      const __m128 two = _mm_castpd_ps(_mm_set_sd(bits));
      return Vec<T>(n == 2 ? two : _mm_movelh_ps(two, _mm_load_ss(p + 2)));
    } else {
      return Vec<T>(_mm_load_sd(p));
    }
#else
    return load_partial(p, n);
#endif
  }
  void store(T* p, const Vec<T>& v) const { store_partial(p, v, n); }
  int64_t n;
};
#endif

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

/// Defined with AVX-512 only.
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
