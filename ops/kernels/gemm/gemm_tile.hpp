// The register tile of the matrix product: R rows by V vectors of C, summed over one block of k.
#pragma once

#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Most rows of a tile, and most vectors in one with so many rows: the accumulators, a row of B and
// one element of A stay in registers (32 with AVX-512 and NEON, else 16). Fewer rows make room for
// longer stretches of B's rows, which is what a product with few rows waits for; more rows keep the
// processor busy where B is narrow. Best is what reads least for a multiplication: usual_rows.
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

// With 16 registers for vectors, sums stay where they are only in a loop of single steps: across
// more of them g++ moves sums about, and to memory.
#if defined(RAPT_KERNEL_ISA_avx512) || defined(__aarch64__)
inline constexpr bool few_registers = false;
#else
inline constexpr bool few_registers = true;
#endif

/// Most rows of a tile with so many vectors.
constexpr int rows_beside(int64_t vectors) {
  int rows = tile_rows;
  while (rows > 1 && tile_vectors(rows) < vectors) --rows;
  return rows;
}
inline constexpr int most_vectors = 8;

// Rows of B are asked for so many steps before they are used.
inline constexpr int64_t rows_ahead = 8;

// A row's last vector, of fewer than `lanes` elements.
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
    // Without a detour through memory, which would be waited for in each step of k.
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

/// What becomes of a tile's sum: C = (alpha * sum + (beta * C + bias)) + residual.
template <class T>
struct Finish {
  T alpha, beta;
  const T* bias = nullptr;      // Or null.
  const T* residual = nullptr;  // In rows as C's, or null.
};

/// The last vector of a tile's rows: there as a whole, in part, or in its lower half at the most.
enum class RowEnd { whole, part, half };

/// How the rows of A that a tile multiplies lie: each adjacent in k, or side by side for each k.
enum class ARows { rows, columns };

/// Adds k products to each element of an [R, V vectors] tile. `a_step` leads from row to row of A,
/// or from one k to the next. The last vector has `last` elements.
template <class T>
using Tile = void (*)(int64_t k, const T* a, int64_t a_step, const T* b, int64_t b_row, T* c,
                      int64_t c_row, int64_t last, const Finish<T>& finish);

template <class T>
struct TileTable {
  Tile<T> of[2][3][tile_rows][most_vectors];  ///< [ARows][RowEnd][rows - 1][vectors - 1]
};

/// The tiles of tile_of(), made in gemm_tiles.cpp: the second where B comes from far away, row by
/// row.
extern const TileTable<float> tile_tables_f32[2];
extern const TileTable<double> tile_tables_f64[2];

/// A tile of copying_vectors vectors that writes the rows of B, which come from far away, to `copy`
/// as it reads them, one behind the other.
template <class T>
using CopyingTile = void (*)(int64_t k, const T* a, int64_t a_step, const T* b, int64_t b_row, T* c,
                             int64_t c_row, int64_t last, const Finish<T>& finish, T* copy);
inline constexpr int copying_vectors = tile_vectors(usual_rows);
inline constexpr int least_copying_rows = usual_rows - 2;

template <class T>
struct CopyingTiles {
  CopyingTile<T> of[2][usual_rows - least_copying_rows + 1];  ///< [ARows][rows - the least]
};

/// With AVX-512 only.
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

/// The tile for so many rows and vectors, the last of which has `last` elements.
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
