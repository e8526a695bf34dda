// The register tile of the matrix product: R rows by V vectors of C, summed over one block of k.
#pragma once

#include <rapt/ops/kernels/simd.hpp>

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

/// Most rows of a tile with so many vectors.
constexpr int rows_beside(int64_t vectors) {
  int rows = tile_rows;
  while (rows > 1 && tile_vectors(rows) < vectors) --rows;
  return rows;
}
inline constexpr int most_vectors = 8;

// Steps of k between two counts of the loop.
inline constexpr int tile_unroll = 4;

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

/// What becomes of a tile's sum: C = alpha * sum + beta * C + bias.
template <class T>
struct Finish {
  T alpha, beta;
  const T* bias;  // Or null.
};

/// Vector v of V at p, the last one of which is partial or not.
template <bool Partial, class T>
inline Vec<T> get(const T* p, int v, int vectors, const Tail<T>& tail) {
  return Partial && v == vectors - 1 ? tail.load(p + v * lanes<T>) : load(p + v * lanes<T>);
}

/// How the rows of A that a tile multiplies lie: each adjacent in k, or side by side for each k.
enum class ARows { rows, columns };

/// Adds k products to each element of an [R, V vectors] tile. `a_step` leads from row to row of A,
/// or from one k to the next. The last vector has `last` elements, all of them unless `Partial`.
/// Apart: B comes from far away, row by row.
template <class T, ARows A, int R, int V, bool Partial, bool Apart>
void tile(int64_t k, const T* a, int64_t a_step, const T* b, int64_t b_row, T* c, int64_t c_row,
          int64_t last, const Finish<T>& finish) {
  constexpr int64_t L = lanes<T>;
  const Tail<T> tail(last);
  Vec<T> sum[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[i][v] = Vec<T>(T(0));
  }
  // A pointer for every four rows, as few registers reach four through offsets. The compiler must
  // not see that they belong together, or it makes up more offsets than it has registers for.
  constexpr int pointers = A == ARows::rows ? (R + 3) / 4 : 1;
  const T* from[pointers];
#pragma GCC unroll 4
  for (int i = 0; i < pointers; ++i) from[i] = a + i * 4 * a_step;
  if (k >= 128) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) __builtin_prefetch(c + i * c_row + v * L, 1);
    }
  }
  const auto step = [&](int ahead) __attribute__((always_inline)) {
    // Rows of B that lie apart are no stream that the processor would see by itself.
#pragma GCC unroll 16
    for (int v = 0; v < (Apart ? V : 0); ++v) __builtin_prefetch(b + rows_ahead * b_row + v * L);
    Vec<T> row[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) row[v] = get<Partial>(b, v, V, tail);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vec<T> x(A == ARows::rows ? from[i / 4][i % 4 * a_step + ahead] : from[0][i]);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[i][v] = multiply_add(x, row[v], sum[i][v]);
    }
    if (A == ARows::columns) from[0] += a_step;
    b += b_row;
  };
  const auto advance = [&](int count) __attribute__((always_inline)) {
    if (A == ARows::columns) return;
#pragma GCC unroll 4
    for (int i = 0; i < pointers; ++i) {
      from[i] += count;
      asm("" : "+r"(from[i]));
    }
  };
  int64_t p = 0;
  for (; p + tile_unroll <= k; p += tile_unroll) {
#pragma GCC unroll 4
    for (int q = 0; q < tile_unroll; ++q) step(q);
    advance(tile_unroll);
  }
  for (; p < k; ++p) {
    step(0);
    advance(1);
  }
  const Vec<T> alpha(finish.alpha);
  if (finish.beta == 0 && finish.bias == nullptr) {
    if (finish.alpha != 1) {
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) sum[i][v] = alpha * sum[i][v];
      }
    }
  } else if (finish.beta == 0) {
    Vec<T> bias[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) bias[v] = get<Partial>(finish.bias, v, V, tail);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[i][v] = multiply_add(alpha, sum[i][v], bias[v]);
    }
  } else {
    const Vec<T> beta(finish.beta);
    Vec<T> bias[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      bias[v] = finish.bias != nullptr ? get<Partial>(finish.bias, v, V, tail) : Vec<T>(T(0));
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        const Vec<T> before = get<Partial>(c + i * c_row, v, V, tail);
        sum[i][v] = multiply_add(alpha, sum[i][v], multiply_add(beta, before, bias[v]));
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      if (Partial && v == V - 1) {
        tail.store(c + v * L, sum[i][v]);
      } else {
        store(c + v * L, sum[i][v]);
      }
    }
    c += c_row;
  }
}

template <class T>
using Tile = void (*)(int64_t k, const T* a, int64_t a_step, const T* b, int64_t b_row, T* c,
                      int64_t c_row, int64_t last, const Finish<T>& finish);

// With AVX-512 a mask costs nothing, so that whole vectors are taken for partial ones. Elsewhere B
// is always asked for ahead: there is time for it.
#if defined(RAPT_KERNEL_ISA_avx512)
inline constexpr bool always_masked = true, always_ahead = false;
#else
inline constexpr bool always_masked = false, always_ahead = true;
#endif

template <class T, ARows A, int R, int V, bool Partial, bool Apart>
constexpr Tile<T> tile_or_null() {
  if constexpr (V <= tile_vectors(R)) {
    return tile < T, A, R, V, Partial || always_masked, Apart || always_ahead > ;
  } else {
    return nullptr;
  }
}

template <class T>
struct TileTable {
  Tile<T> of[2][2][tile_rows][most_vectors];  ///< [ARows][Partial][rows - 1][vectors - 1]
};

template <class T, bool Apart, ARows A, bool Partial, int R, int V>
constexpr void fill_tiles(TileTable<T>& table) {
  table.of[static_cast<int>(A)][Partial][R - 1][V - 1] = tile_or_null<T, A, R, V, Partial, Apart>();
  if constexpr (V < most_vectors) {
    fill_tiles<T, Apart, A, Partial, R, V + 1>(table);
  } else if constexpr (R < tile_rows) {
    fill_tiles<T, Apart, A, Partial, R + 1, 1>(table);
  }
}

template <class T, bool Apart>
constexpr TileTable<T> make_tiles() {
  TileTable<T> table{};
  fill_tiles<T, Apart, ARows::rows, false, 1, 1>(table);
  fill_tiles<T, Apart, ARows::rows, true, 1, 1>(table);
  fill_tiles<T, Apart, ARows::columns, false, 1, 1>(table);
  fill_tiles<T, Apart, ARows::columns, true, 1, 1>(table);
  return table;
}

template <class T, bool Apart>
inline constexpr TileTable<T> tile_table = make_tiles<T, Apart>();

/// The tile for so many rows and vectors, the last of which has `last` elements.
template <class T, bool Apart = false>
inline Tile<T> tile_of(ARows a, int64_t rows, int64_t vectors, int64_t last) {
  return tile_table<T, Apart>.of[static_cast<int>(a)][last != lanes<T>][rows - 1][vectors - 1];
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
