// Convolutions with few output channels per group, such as depthwise ones. Vectors run over pixels,
// which are adjacent in the window, in place of channels.
#pragma once

#include "ops/kernels/convolution/convolution_layout.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Returns the number of pixel vectors per tile for this many channels.
constexpr int narrow_vectors(int channels) {
  if constexpr (isa.registers == 32) return channels == 4 ? 6 : 8;
  return channels == 1 ? 8 : channels == 2 ? 5 : channels == 3 ? 3 : 2;
}
inline constexpr int most_narrow_vectors = 8;

/// Computes out[c, p, lane] = sum over i of w[i, c] * from[p][steps[i] + lane].
template <class T, int C, int P>
void narrow_tile(int64_t depth, const int32_t* steps, const T* const* starts, const T* w, T* out) {
  Vec<T> sum[C][P];
  const T* from[P];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    from[p] = starts[p];
    asm("" : "+r"(from[p]));
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) sum[c][p] = Vec<T>(T(0));
  }
  for (int64_t i = 0; i < depth; ++i, w += C) {
    const int64_t offset = steps[i];
    Vec<T> x[P];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) x[p] = load(from[p] + offset);
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const Vec<T> factor(w[c]);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) sum[c][p] = multiply_add(factor, x[p], sum[c][p]);
    }
  }
#pragma GCC unroll 16
  for (int c = 0; c < C; ++c) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) store(out + (c * P + p) * lanes<T>, sum[c][p]);
  }
}

template <class T>
using NarrowTile = void (*)(int64_t, const int32_t*, const T* const*, const T*, T*);

template <class T, int C, int P = 1>
inline NarrowTile<T> narrow_tile_of(int64_t vectors) {
  if constexpr (P < narrow_vectors(C)) {
    if (vectors > P) return narrow_tile_of<T, C, P + 1>(vectors);
  }
  return narrow_tile<T, C, P>;
}

/// The pixels of one phase of an image, in vectors. A vector does not extend over several rows.
struct NarrowPixels {
  int64_t rows, columns;          // of the phase
  int64_t window_row;             // distance between rows in the window
  int64_t plane_row, plane_step;  // distances between rows and between pixels in the result
};

/// Computes C channels of a phase's pixels. `to` is the first pixel in the first plane.
template <class T, int C>
void narrow_product(const NarrowPixels& pixels, int64_t depth, const int32_t* steps,
                    const T* window, const T* w, const T* bias, T* to, int64_t plane) {
  constexpr int64_t L = lanes<T>;
  constexpr int most = narrow_vectors(C);
  alignas(64) T out[C * most * L];
  const int64_t in_row = ceil_div(pixels.columns, L), count = pixels.rows * in_row;
  const int64_t tiles = ceil_div(count, most);
  if (tiles == 0) return;
  const Parts parts(count, tiles);
  const NarrowTile<T> low = narrow_tile_of<T, C>(parts.base),
                      high = narrow_tile_of<T, C>(parts.base + 1);
  int64_t row = 0, column = 0;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t vectors = parts.base + (tile < parts.extra ? 1 : 0);
    const T* from[most];
    T* place[most];
    int64_t filled[most];
    for (int64_t p = 0; p < vectors; ++p) {
      from[p] = window + row * pixels.window_row + column;
      place[p] = to + row * pixels.plane_row + column * pixels.plane_step;
      filled[p] = smaller(L, pixels.columns - column);
      column += L;
      if (column >= pixels.columns) {
        column = 0;
        ++row;
      }
    }
    (tile < parts.extra ? high : low)(depth, steps, from, w, out);
    for (int c = 0; c < C; ++c) {
      const Vec<T> more(bias == nullptr ? T(0) : bias[c]);
      for (int64_t p = 0; p < vectors; ++p) {
        T* const y = place[p] + c * plane;
        const T* const result = out + (c * vectors + p) * L;
        if (pixels.plane_step != 1) {
          for (int64_t i = 0; i < filled[p]; ++i) y[i * pixels.plane_step] = result[i];
        } else if (filled[p] == L) {
          store(y, load(result) + more);
        } else {
          Tail<T>(filled[p]).store(y, load(result) + more);
        }
      }
    }
  }
}

/// Runs a chunk of one group. Only the forward pass has a bias, and its pixels are adjacent.
template <class T>
void run_narrow_pixels(const Layout& l, const Shared<T>& shared, const Panels<T>& panels,
                       const Chunk& chunk, int64_t group, const T* window, const T* bias, T* to) {
  const int64_t wide = l.columns.out();
  // Process all phases of a few rows together, because they read the same part of the window.
  const int64_t in_row = ceil_div(l.columns.pixels_in_phase(0, chunk.columns), lanes<T>);
  const int64_t together = ceil_div(most_narrow_vectors, in_row);
  const auto run_rows = [&](int64_t image, int64_t panel, int64_t row) {
    const int64_t channels = panels.units(panel);
    const int64_t channel = group * l.out_channels + panels.begin(panel);
    const T* w = shared.of(l, 0, group, panels, panel);
    const int32_t *steps = shared.steps, *depth = shared.depths;
    T* const planes =
        to + ((chunk.image + image) * l.groups * l.out_channels + channel) * l.out_plane;
    for_each_phase(l, [&](int64_t i, int64_t j) {
      const int64_t rows = l.rows.pixels_in_phase(i, chunk.rows) - row;
      const NarrowPixels pixels{.rows = larger(0, smaller(together, rows)),
                                .columns = l.columns.pixels_in_phase(j, chunk.columns),
                                .window_row = l.rows.step() * l.window_columns,
                                .plane_row = l.rows.phases() * wide,
                                .plane_step = l.columns.phases()};
      T* const first = planes + (chunk.row + row * l.rows.phases() + i) * wide + chunk.column + j;
      const auto product = channels == 1   ? narrow_product<T, 1>
                           : channels == 2 ? narrow_product<T, 2>
                           : channels == 3 ? narrow_product<T, 3>
                                           : narrow_product<T, 4>;
      product(pixels, *depth, steps, window + image * l.window_image + row * pixels.window_row, w,
              bias == nullptr ? nullptr : bias + channel, first, l.out_plane);
      steps += *depth;
      w += *depth * channels;
      ++depth;
    });
  };
  const int64_t rows = l.rows.pixels_in_phase(0, chunk.rows);
  for (int64_t image = 0; image < chunk.images; ++image) {
    for (int64_t row = 0; row < rows; row += together) {
      for (int64_t panel = 0; panel < panels.count; ++panel) run_rows(image, panel, row);
    }
  }
}

/// Adds to sums[i, lane] the products of x's pixels under R taps and the y gradient, over all
/// pixels of a chunk.
template <class T, int R>
void narrow_taps(const Layout& l, const Chunk& chunk, const T* window, const int32_t* steps,
                 const T* g, int64_t g_image, T* sums) {
  constexpr int64_t L = lanes<T>;
  Vec<T> sum[R];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) sum[i] = load(sums + i * L);
  const int64_t whole = chunk.columns / L * L;
  const Tail<T> tail(chunk.columns > whole ? chunk.columns - whole : 1);
  for (int64_t image = 0; image < chunk.images; ++image) {
    const T *x = window + image * l.window_image, *y = g + image * g_image;
    for (int64_t row = 0; row < chunk.rows; ++row) {
      for (int64_t j = 0; j < whole; j += L) {
        const Vec<T> v = load(y + j);
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) sum[i] = multiply_add(load(x + steps[i] + j), v, sum[i]);
      }
      if (whole < chunk.columns) {
        const Vec<T> v = tail.load(y + whole);
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
          sum[i] = multiply_add(tail.load(x + steps[i] + whole), v, sum[i]);
        }
      }
      x += l.rows.step() * l.window_columns;
      y += l.columns.out();
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) store(sums + i * L, sum[i]);
}

/// Does the same for all taps of a channel of y. sums is [depth, lanes].
template <class T, int R = 8>
void narrow_weight(const Layout& l, const Chunk& chunk, const T* window, const int32_t* steps,
                   int64_t depth, const T* g, int64_t g_image, T* sums) {
  if (depth == 0) return;
  if (depth >= R) {
    narrow_taps<T, R>(l, chunk, window, steps, g, g_image, sums);
    return narrow_weight<T, R>(l, chunk, window, steps + R, depth - R, g, g_image,
                               sums + R * lanes<T>);
  }
  if constexpr (R > 1) narrow_weight<T, R / 2>(l, chunk, window, steps, depth, g, g_image, sums);
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
