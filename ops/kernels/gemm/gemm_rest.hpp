// The remainder columns of a product that is slightly wider than whole vectors. They are computed
// separately from the tiles.
#pragma once

#include "ops/kernels/gemm/gemm_activation.hpp"
#include "ops/kernels/gemm/gemm_arguments.hpp"
#include "ops/kernels/gemm/gemm_block.hpp"
#include "ops/kernels/gemm/gemm_dots.hpp"
#include "ops/kernels/gemm/gemm_tile.hpp"
#include "ops/kernels/simd/integers.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Returns the number of columns, of a product up to about a hundred wide, that are cheaper to
/// compute separately. In the tiles, this remainder would cost as much as a full vector. Returns 0
/// for none.
template <class T>
int64_t rest_columns(const Gemm<T>& g) {
  constexpr int64_t L = lanes<T>;
  if (!quick_sums<T> || g.b_packed || g.b_col != 1 || (g.a_col != 1 && g.a_row != 1)) return 0;
  // Dot products must reduce their lanes at the end, which only pays off for long sums.
  if (g.m < 2 * L || g.k < (g.a_col == 1 ? 4 * L : L) || g.n < 2 * L || g.n > 16 * L) return 0;
  const int64_t rest = g.n % L;
  return rest <= 4 ? rest : 0;
}

/// Returns the scratch elements that the remainder needs.
template <class T>
int64_t rest_scratch(const Gemm<T>& g, int64_t rest) {
  return rest * round_up(g.a_col == 1 ? g.k : g.m, lanes<T>);
}

/// Returns a * b + c with one rounding.
inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

/// Computes the last `rest` columns of one item. If A is read down its columns, the result has the
/// bits that the tiles would produce.
template <class T>
void run_rest(const Gemm<T>& g, int64_t rest, T* scratch) {
  constexpr int64_t L = lanes<T>;
  const int64_t j = g.n - rest;
  const T* const b = g.b + j;
  T* const c = g.c + j;
  const Finish<T> finish = finish_at(g, g.beta, 0, j);
  if (g.a_col == 1) {
    // Compute dot products of A's rows and these columns.
    const int64_t stride = round_up(g.k, L);
    for (int64_t p = 0; p < g.k; ++p) {
      for (int64_t q = 0; q < rest; ++q) scratch[q * stride + p] = b[p * g.b_row + q];
    }
    dot_region(g.m, rest, g.k, g.a, g.a_row, scratch, stride, c, g.c_row, finish);
    return activate(g.activation, g.m, rest, c, g.c_row);
  }
  // Compute C' = B' A': these columns become the rows of tiles whose vectors are columns of A.
  const int64_t stride = round_up(g.m, L), step = tile_vectors(static_cast<int>(rest)) * L;
  for (int64_t i = 0; i < g.m; i += step) {
    const int64_t rows = smaller(step, g.m - i), vectors = ceil_div(rows, L);
    const int64_t last = rows - (vectors - 1) * L;
    tile_of<T>(ARows::columns, rest, vectors, last)(g.k, b, g.b_row, g.a + i, g.a_col, scratch + i,
                                                    stride, last, {T(1), T(0)});
  }
  for (int64_t i = 0; i < g.m; ++i) {
    T* const to = c + i * g.c_row;
    for (int64_t q = 0; q < rest; ++q) {
      T x = finish.bias != nullptr ? finish.bias[q] : T(0);
      if (finish.beta != 0) x = fused(finish.beta, to[q], x);
      x = fused(finish.alpha, scratch[q * stride + i], x);
      to[q] = finish.residual != nullptr ? x + finish.residual[i * g.c_row + q] : x;
    }
  }
  activate(g.activation, g.m, rest, c, g.c_row);
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
