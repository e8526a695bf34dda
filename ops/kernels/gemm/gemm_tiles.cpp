// Instantiates the register tile of the matrix product for every number of rows and vectors, so
// that remainders in m need no edge code.
//
// A tile clears its accumulators, prefetches its rows of C and loops over k. Each step loads one
// row of B as V vectors. Then it multiplies each row's element of A, broadcast, into that row's
// accumulators. The epilogue applies alpha, beta, the bias and the residual and stores the tile. A
// partial last vector is masked. If at most half of it exists, it is computed in half-length
// registers. Copying tiles store the rows of B into a packed copy as they read them.
#include "ops/kernels/gemm/gemm_tile.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

// Steps of k per iteration of the loop.
constexpr int tile_unroll = few_registers ? 1 : 4;

/// Loads vector v of `vectors` at p.
template <RowEnd End, class T>
inline Vec<T> get(const T* p, int v, int vectors, const Tail<T>& tail) {
  return End != RowEnd::whole && v == vectors - 1 ? tail.load(p + v * lanes<T>)
                                                  : load(p + v * lanes<T>);
}

/// Computes one tile. With Copy, rows of B are also written to `copy`.
template <class T, ARows A, int R, int V, RowEnd End, bool Apart, bool Copy>
[[gnu::always_inline]] inline void multiply_tile(int64_t k, const T* a, int64_t a_step, const T* b,
                                                 int64_t b_row, T* c, int64_t c_row, int64_t last,
                                                 const Finish<T>& finish, T* copy) {
  constexpr int64_t L = lanes<T>;
  constexpr bool halved = End == RowEnd::half;
  constexpr int W = halved ? V - 1 : V;
  const Tail<T> tail(last);
  Vec<T> sum[R][V];
  Short<T> rest[R];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < W; ++v) sum[i][v] = Vec<T>(T(0));
    if constexpr (halved) rest[i] = Short<T>(T(0));
  }
  // Keep one pointer per `together` rows, because addressing modes reach several rows from one
  // pointer: 3 from one register, 7 from three. The asm hides from the compiler that the pointers
  // are related. Otherwise it creates more offsets than there are registers.
  constexpr int together = R > 6 ? 7 : 3, in_turn = R > 6 ? 4 : 3;
  constexpr int pointers = A == ARows::rows ? (R + together - 1) / together : 1;
  const T* from[pointers];
#pragma GCC unroll 2
  for (int i = 0; i < pointers; ++i) {
    from[i] = a + i * together * a_step;
    asm("" : "+r"(from[i]));
  }
  // Prefetch rows of C that are far apart; a long sum hides the latency. Prefetching all at once
  // would delay the loads of B, so the rows are prefetched one by one in the loop. That costs a
  // register for a pointer to the next row.
  const bool far = k >= 128 || (k >= 32 && c_row >= 512);
  const auto ask_for = [](const T* row) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) __builtin_prefetch(row + v * L, 1);
  };
  const T* asked = c;
  const T* const asked_end = far && !few_registers ? c + R * c_row : c;
  if constexpr (few_registers) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      if (far) ask_for(c + i * c_row);
    }
  }
  const auto step = [&]() __attribute__((always_inline)) {
    // The hardware prefetcher does not recognise rows of B that are far apart as a stream.
#pragma GCC unroll 16
    for (int v = 0; v < (Apart ? V : 0); ++v) __builtin_prefetch(b + rows_ahead * b_row + v * L);
    Vec<T> row[V];
    Short<T> row_rest;
#pragma GCC unroll 16
    for (int v = 0; v < W; ++v) row[v] = get<End>(b, v, V, tail);
    if constexpr (halved) row_rest = load_half(b + W * L, tail);
    if constexpr (Copy) {
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) store(copy + v * L, row[v]);
      copy += V * L;
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const Vec<T> x(A == ARows::rows ? from[i / together][i % together * a_step] : from[0][i]);
#pragma GCC unroll 16
      for (int v = 0; v < W; ++v) sum[i][v] = multiply_add(x, row[v], sum[i][v]);
      if constexpr (halved) rest[i] = multiply_add(lower_half(x), row_rest, rest[i]);
    }
    // Advance the pointers in every step and hide this from the compiler. Otherwise offsets of
    // unrolled steps would occupy registers.
    b += b_row;
    asm("" : "+r"(b));
#pragma GCC unroll 2
    for (int i = 0; i < pointers; ++i) {
      from[i] += A == ARows::rows ? 1 : a_step;
      asm("" : "+r"(from[i]));
    }
  };
  // Prefetch the rows of A below this tile, which come next. They are far away if another core
  // wrote them. Every four steps, each group of `in_turn` rows prefetches one row in turn. A cache
  // line holds 16 floats, so every line is covered; with doubles some lines are skipped. Narrow
  // tiles already issue enough loads.
  const int64_t below = R * a_step, below_end = below + in_turn * a_step;
  int64_t next = below;
  int64_t p = 0;
  for (; p + tile_unroll <= k; p += tile_unroll) {
    if (!few_registers && asked != asked_end) {
      ask_for(asked);
      asked += c_row;
    }
    if constexpr (A == ARows::rows && V > 1 && !few_registers) {
#pragma GCC unroll 2
      for (int i = 0; i < pointers; ++i) {
#pragma GCC unroll 2
        for (int row = 0; row < together; row += in_turn) {
          __builtin_prefetch(from[i] + next + row * a_step);
        }
      }
      next += a_step;
      if (next == below_end) next = below;
      asm("" : "+r"(next));
    }
#pragma GCC unroll 4
    for (int q = 0; q < tile_unroll; ++q) step();
  }
  for (; p < k; ++p) step();
  if (finish.beta != 0) {
#pragma GCC unroll 16
    for (int v = 0; v < W; ++v) {
      const Vec<T> bias = finish.bias != nullptr ? get<End>(finish.bias, v, V, tail) : Vec<T>(T(0));
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        sum[i][v] = multiply_add(
            Vec<T>(finish.alpha), sum[i][v],
            multiply_add(Vec<T>(finish.beta), get<End>(c + i * c_row, v, V, tail), bias));
      }
    }
    if constexpr (halved) {
      const Short<T> bias =
          finish.bias != nullptr ? load_half(finish.bias + W * L, tail) : Short<T>(T(0));
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        rest[i] = multiply_add(
            Short<T>(finish.alpha), rest[i],
            multiply_add(Short<T>(finish.beta), load_half(c + i * c_row + W * L, tail), bias));
      }
    }
  } else if (finish.bias != nullptr) {
#pragma GCC unroll 16
    for (int v = 0; v < W; ++v) {
      const Vec<T> bias = get<End>(finish.bias, v, V, tail);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        sum[i][v] = multiply_add(Vec<T>(finish.alpha), sum[i][v], bias);
      }
    }
    if constexpr (halved) {
      const Short<T> bias = load_half(finish.bias + W * L, tail);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) rest[i] = multiply_add(Short<T>(finish.alpha), rest[i], bias);
    }
  } else if (finish.alpha != 1) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
      for (int v = 0; v < W; ++v) sum[i][v] = Vec<T>(finish.alpha) * sum[i][v];
      if constexpr (halved) rest[i] = Short<T>(finish.alpha) * rest[i];
    }
  }
  if (finish.residual != nullptr) {
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const T* const residual = finish.residual + i * c_row;
#pragma GCC unroll 16
      for (int v = 0; v < W; ++v) sum[i][v] = sum[i][v] + get<End>(residual, v, V, tail);
      if constexpr (halved) rest[i] = rest[i] + load_half(residual + W * L, tail);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < W; ++v) {
      if (End == RowEnd::part && v == V - 1) {
        tail.store(c + v * L, sum[i][v]);
      } else {
        store(c + v * L, sum[i][v]);
      }
    }
    if constexpr (halved) store_half(c + W * L, rest[i], tail);
    c += c_row;
  }
}

template <class T, ARows A, int R, int V, RowEnd End, bool Apart>
void tile(int64_t k, const T* a, int64_t a_step, const T* b, int64_t b_row, T* c, int64_t c_row,
          int64_t last, const Finish<T>& finish) {
  multiply_tile<T, A, R, V, End, Apart, false>(k, a, a_step, b, b_row, c, c_row, last, finish,
                                               nullptr);
}

template <class T, ARows A, int R>
void copying_tile(int64_t k, const T* a, int64_t a_step, const T* b, int64_t b_row, T* c,
                  int64_t c_row, int64_t last, const Finish<T>& finish, T* copy) {
  multiply_tile<T, A, R, copying_vectors, RowEnd::part, true, true>(k, a, a_step, b, b_row, c,
                                                                    c_row, last, finish, copy);
}

/// Returns a tile, or null if it would be too wide. Where masks are free, full vectors use the
/// masked code as well.
template <class T, ARows A, int R, int V, RowEnd End, bool Apart>
constexpr Tile<T> tile_or_null() {
  constexpr RowEnd end = End == RowEnd::half && isa.halves && !Apart ? RowEnd::half
                         : End != RowEnd::whole || isa.masks         ? RowEnd::part
                                                                     : RowEnd::whole;
  if constexpr (V <= tile_vectors(R)) {
    return tile < T, A, R, V, end, Apart || isa.prefetches_b > ;
  } else {
    return nullptr;
  }
}

template <class T, bool Apart, ARows A, RowEnd End, int R, int V>
constexpr void fill_tiles(TileTable<T>& table) {
  table.of[static_cast<int>(A)][static_cast<int>(End)][R - 1][V - 1] =
      tile_or_null<T, A, R, V, End, Apart>();
  if constexpr (V < most_vectors) {
    fill_tiles<T, Apart, A, End, R, V + 1>(table);
  } else if constexpr (R < tile_rows) {
    fill_tiles<T, Apart, A, End, R + 1, 1>(table);
  }
}

template <class T, bool Apart, ARows A>
constexpr void fill_ends(TileTable<T>& table) {
  fill_tiles<T, Apart, A, RowEnd::whole, 1, 1>(table);
  fill_tiles<T, Apart, A, RowEnd::part, 1, 1>(table);
  fill_tiles<T, Apart, A, RowEnd::half, 1, 1>(table);
}

template <class T, bool Apart>
constexpr TileTable<T> make_tiles() {
  TileTable<T> table{};
  fill_ends<T, Apart, ARows::rows>(table);
  fill_ends<T, Apart, ARows::columns>(table);
  return table;
}

template <class T>
constexpr CopyingTiles<T> make_copying_tiles() {
  if constexpr (panels_stay) {
    return {};
  } else {
    constexpr int least = least_copying_rows;
    return {{{copying_tile<T, ARows::rows, least>, copying_tile<T, ARows::rows, least + 1>,
              copying_tile<T, ARows::rows, least + 2>},
             {copying_tile<T, ARows::columns, least>, copying_tile<T, ARows::columns, least + 1>,
              copying_tile<T, ARows::columns, least + 2>}}};
  }
}

}  // namespace

extern const TileTable<float> tile_tables_f32[2] = {make_tiles<float, false>(),
                                                    make_tiles<float, true>()};
extern const TileTable<double> tile_tables_f64[2] = {make_tiles<double, false>(),
                                                     make_tiles<double, true>()};

extern const CopyingTiles<float> copying_tiles_f32 = make_copying_tiles<float>();
extern const CopyingTiles<double> copying_tiles_f64 = make_copying_tiles<double>();

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
