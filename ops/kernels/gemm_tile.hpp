// The register tile of the matrix product: R rows by V vectors of C, summed over one block of k.
#pragma once

#include <rapt/ops/kernels/simd.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Most rows of a tile, and most vectors in one with so many rows: the accumulators, a row of B and
// one element of A stay in registers (32 with AVX-512 and NEON, else 16). Fewer rows make room for
// longer stretches of B's rows, which is what a product with few rows waits for.
inline constexpr int tile_rows = 6;
constexpr int tile_vectors(int rows) {
#if defined(RAPT_KERNEL_ISA_avx512) || defined(__aarch64__)
  constexpr int most[tile_rows] = {8, 8, 8, 6, 4, 4};
#else
  constexpr int most[tile_rows] = {8, 6, 4, 3, 2, 2};
#endif
  return most[rows - 1];
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

/// What becomes of a tile's sum: C = alpha * sum + beta * C + bias.
template <class T>
struct Finish {
  T alpha, beta;
  const T* bias;  // Or null.
};

/// Adds k products to each element of an [R, V vectors] tile. The last vector has `last` elements,
/// all of them unless `Partial`.
template <class T, int R, int V, bool Partial>
void tile(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t b_row, T* c,
          int64_t c_row, int64_t last, const Finish<T>& finish) {
  constexpr int64_t L = lanes<T>;
  const Tail<T> tail(Partial ? last : L - 1);
  Vec<T> sum[R][V];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sum[i][v] = Vec<T>(T(0));
  }
  for (int64_t p = 0; p < k; ++p) {
    // Rows of B that lie apart are no stream that the processor would see by itself.
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) __builtin_prefetch(b + rows_ahead * b_row + v * L);
    Vec<T> row[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      row[v] = Partial && v == V - 1 ? tail.load(b + v * L) : load(b + v * L);
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      const Vec<T> x(a[i * a_row]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[i][v] = multiply_add(x, row[v], sum[i][v]);
    }
    a += a_col;
    b += b_row;
  }
  const Vec<T> alpha(finish.alpha), beta(finish.beta);
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const bool partial = Partial && v == V - 1;
      T* const to = c + i * c_row + v * L;
      Vec<T> x(T(0));
      if (finish.bias != nullptr) {
        x = partial ? tail.load(finish.bias + v * L) : load(finish.bias + v * L);
      }
      if (finish.beta != 0) x = multiply_add(beta, partial ? tail.load(to) : load(to), x);
      x = multiply_add(alpha, sum[i][v], x);
      if (partial) {
        tail.store(to, x);
      } else {
        store(to, x);
      }
    }
  }
}

template <class T>
using Tile = void (*)(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b,
                      int64_t b_row, T* c, int64_t c_row, int64_t last, const Finish<T>& finish);

template <class T, int R, int V, bool Partial>
constexpr Tile<T> tile_or_null() {
  if constexpr (V <= tile_vectors(R)) {
    return tile<T, R, V, Partial>;
  } else {
    return nullptr;
  }
}

#define RAPT_TILE_VECTORS(R, P)                                                             \
  {                                                                                         \
    tile_or_null<T, R, 1, P>(), tile_or_null<T, R, 2, P>(), tile_or_null<T, R, 3, P>(),     \
        tile_or_null<T, R, 4, P>(), tile_or_null<T, R, 5, P>(), tile_or_null<T, R, 6, P>(), \
        tile_or_null<T, R, 7, P>(), tile_or_null<T, R, 8, P>()                              \
  }
#define RAPT_TILE_ROWS(P)                                                         \
  {                                                                               \
    RAPT_TILE_VECTORS(1, P), RAPT_TILE_VECTORS(2, P), RAPT_TILE_VECTORS(3, P),    \
        RAPT_TILE_VECTORS(4, P), RAPT_TILE_VECTORS(5, P), RAPT_TILE_VECTORS(6, P) \
  }

/// [partial][rows - 1][vectors - 1]
template <class T>
inline constexpr Tile<T> tiles[2][tile_rows][most_vectors] = {RAPT_TILE_ROWS(false),
                                                              RAPT_TILE_ROWS(true)};
#undef RAPT_TILE_ROWS
#undef RAPT_TILE_VECTORS

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
