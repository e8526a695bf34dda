// Memory layout of the passes of a convolution: windows, panels and chunks of pixels.
#pragma once

#include "ops/kernels/convolution/convolution_shape.hpp"
#include "ops/kernels/convolution/convolution_tile.hpp"
#include "ops/kernels/simd/integers.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

constexpr int64_t whole_lines(int64_t bytes) { return round_up(bytes, 64); }

/// One axis of a pass: how a band of pixels reads its window of the input.
///
/// The input gradient is a convolution of the y gradient, one per phase of its pixels modulo the
/// stride. Phase j has pixels j, j + stride, .. and the taps that meet them. In other passes a
/// window may be split into `stride` parts, each with every stride-th element. Neighbouring pixels
/// then read neighbouring elements.
struct Walk {
  ConvolutionAxis axis;
  bool transposed;
  bool split;

  int64_t in() const { return transposed ? axis.out : axis.in; }
  int64_t out() const { return transposed ? axis.in : axis.out; }
  int64_t reach() const { return axis.dilation * (axis.kernel - 1); }
  int64_t phases() const { return transposed ? axis.stride : 1; }
  int64_t parts() const { return split ? axis.stride : 1; }
  /// Returns where the window of the pixels from `first` on begins. `first` is a multiple of
  /// phases().
  int64_t window_begin(int64_t first) const {
    return transposed ? first / axis.stride + floor_div(axis.padding - reach(), axis.stride)
                      : first * axis.stride - axis.padding;
  }
  /// Returns the number of elements in a window. All its parts have the same size.
  int64_t window(int64_t pixels) const {
    if (transposed) return floor_div(pixels - 1 + axis.padding, axis.stride) - window_begin(0) + 1;
    return ceil_div((pixels - 1) * axis.stride + reach() + 1, parts()) * parts();
  }
  int64_t pixels_in_phase(int64_t phase, int64_t pixels) const {
    return phase < pixels ? ceil_div(pixels - phase, phases()) : 0;
  }
  /// Returns the distance in the window between neighbouring pixels of a phase.
  int64_t step() const { return transposed || split ? 1 : axis.stride; }
  /// Returns the first tap that meets a phase's pixels. The others follow every tap_step() taps.
  int64_t first_tap(int64_t phase) const {
    int64_t tap = 0;
    while (tap < axis.kernel && transposed &&
           (phase + axis.padding - tap * axis.dilation) % axis.stride != 0) {
      ++tap;
    }
    return tap;
  }
  int64_t tap_step() const {
    int64_t step = 1;
    while (transposed && step * axis.dilation % axis.stride != 0) ++step;
    return step;
  }
  /// Returns the distance from a phase's first pixel to the element under a tap, in a window of
  /// `size` elements.
  int64_t tap_offset(int64_t phase, int64_t tap, int64_t size) const {
    const int64_t distance = phase + axis.padding - tap * axis.dilation;
    if (transposed) return floor_div(distance, axis.stride) - window_begin(0);
    const int64_t at = tap * axis.dilation;
    return at % parts() * (size / parts()) + at / parts();
  }
};

/// Sizes that follow from a plan. The weight gradient has the layout of the forward pass.
struct Layout {
  explicit Layout(const ConvolutionPlan& p)
      : transposed(p.pass == ConvolutionPass::input_gradient),
        rows{p.shape.rows, transposed, false},
        columns{p.shape.columns, transposed, p.narrow && !transposed},
        groups(p.shape.groups),
        x_channels(p.shape.channels / groups),
        y_channels(p.shape.out_channels / groups),
        in_channels(transposed ? y_channels : x_channels),
        out_channels(transposed ? x_channels : y_channels),
        taps(p.shape.rows.kernel * p.shape.columns.kernel),
        depth(in_channels * taps),
        window_rows(rows.window(p.rows)),
        window_columns(columns.window(p.columns)),
        window_plane(window_rows * window_columns),
        window_image(in_channels * window_plane),
        pixels(p.images * p.rows * p.columns),
        in_plane(rows.in() * columns.in()),
        out_plane(rows.out() * columns.out()),
        chunks(ceil_div(p.shape.batch, p.images) * p.row_bands * p.column_bands),
        group_blocks(ceil_div(groups, p.task_groups)) {}

  int64_t phases() const { return rows.phases() * columns.phases(); }

  bool transposed;
  Walk rows, columns;
  int64_t groups, x_channels, y_channels;  // Per group.
  int64_t in_channels, out_channels;       // Channels read and written, per group.
  int64_t taps, depth;
  int64_t window_rows, window_columns, window_plane, window_image;
  int64_t pixels;  // Pixels in a full chunk.
  int64_t in_plane, out_plane;
  int64_t chunks;
  int64_t group_blocks;  // Number of tasks that the groups are cut into.
};

/// The output channels of a group, cut into panels. A panel has up to four vectors or, in narrow
/// passes, up to four channels.
template <class T>
struct Panels {
  Panels(bool narrow, int64_t channels)
      : unit(narrow ? 1 : lanes<T>),
        count(ceil_div(ceil_div(channels, unit), most_panel_vectors)),
        parts(ceil_div(channels, unit), count),
        width(ceil_div(channels, unit) * unit) {}
  /// Returns the number of vectors, or channels, of panel i.
  int64_t units(int64_t i) const { return parts.begin(i + 1) - parts.begin(i); }
  int64_t begin(int64_t i) const { return parts.begin(i) * unit; }
  int64_t widest() const { return (parts.base + (parts.extra != 0)) * unit; }

  int64_t unit, count;
  Parts parts;
  int64_t width;  // Width of all panels together.
};

/// Memory shared by all tasks: the packed weight (or the partial sums of its gradient) and the
/// tables.
template <class T>
struct Shared {
  Shared(const ConvolutionPlan& plan, const Layout& l, void* memory)
      : width(Panels<T>(plan.narrow, l.out_channels).width * vector(plan)),
        numbers(static_cast<T*>(memory)),
        bias(numbers + plan.parts * l.groups * width * l.depth),
        steps(reinterpret_cast<int32_t*>(static_cast<char*>(memory) +
                                         whole_lines(count(plan, l) * size))),
        rows(steps + l.depth),
        places(rows + l.pixels),
        counts(places + l.pixels),
        depths(counts + l.depth) {}

  static int64_t bytes(const ConvolutionPlan& plan, const Layout& l) {
    return whole_lines(count(plan, l) * size) +
           whole_lines((2 * l.depth + 2 * l.pixels + l.phases()) * 4);
  }
  /// Returns panel `panel` of a group: [depth, panel width].
  T* of(const Layout& l, int64_t part, int64_t group, const Panels<T>& panels,
        int64_t panel) const {
    const int64_t unit = width / panels.width;
    return numbers + ((part * l.groups + group) * width + panels.begin(panel) * unit) * l.depth;
  }

  static constexpr auto size = static_cast<int64_t>(sizeof(T));
  int64_t width;
  T* numbers;
  T* bias;          // [parts, y channels]: partial sums of the bias gradient.
  int32_t* steps;   // [depth]: window offsets of channels and taps, phase by phase.
  int32_t* rows;    // [pixels]: window offsets of the pixels, phase by phase.
  int32_t* places;  // [pixels]: positions of the same pixels in the chunk.
  int32_t* counts;  // [depth]: 0, 1, ..
  int32_t* depths;  // [phases]: number of steps per phase.

 private:
  /// Returns the length of a partial sum: a vector in narrow weight gradients, otherwise 1.
  static int64_t vector(const ConvolutionPlan& plan) {
    return plan.narrow && plan.pass == ConvolutionPass::weight_gradient ? lanes<T> : 1;
  }
  static int64_t count(const ConvolutionPlan& plan, const Layout& l) {
    const int64_t all = Panels<T>(plan.narrow, l.out_channels).width * vector(plan);
    return plan.parts * l.groups * (all * l.depth + l.out_channels);
  }
};

/// Calls body(row phase, column phase).
template <class Body>
void for_each_phase(const Layout& l, const Body& body) {
  for (int64_t i = 0; i < l.rows.phases(); ++i) {
    for (int64_t j = 0; j < l.columns.phases(); ++j) body(i, j);
  }
}

/// Calls body(channel, tap row, tap column) in the order in which a phase is summed.
template <class Body>
void for_each_step(const Layout& l, int64_t row_phase, int64_t column_phase, const Body& body) {
  const int64_t row = l.rows.first_tap(row_phase), column = l.columns.first_tap(column_phase);
  const int64_t row_step = l.rows.tap_step(), column_step = l.columns.tap_step();
  for (int64_t channel = 0; channel < l.in_channels; ++channel) {
    for (int64_t i = row; i < l.rows.axis.kernel; i += row_step) {
      for (int64_t j = column; j < l.columns.axis.kernel; j += column_step) body(channel, i, j);
    }
  }
}

/// A chunk: several images, or a band of one image.
struct Chunk {
  Chunk(const ConvolutionPlan& plan, const Layout& l, int64_t index) {
    const int64_t bands = plan.row_bands * plan.column_bands, band = index % bands;
    image = index / bands * plan.images;
    images = smaller(plan.images, plan.shape.batch - image);
    row = band / plan.column_bands * plan.rows;
    rows = smaller(plan.rows, l.rows.out() - row);
    column = band % plan.column_bands * plan.columns;
    columns = smaller(plan.columns, l.columns.out() - column);
  }
  int64_t image, images, row, rows, column, columns;
};

/// Copies the windows of a chunk's images to [images, channels of the group, window].
template <class T>
void copy_windows(const Layout& l, const Chunk& chunk, int64_t group, const T* from, T* window) {
  const int64_t row = l.rows.window_begin(chunk.row), column = l.columns.window_begin(chunk.column);
  for (int64_t image = 0; image < chunk.images; ++image) {
    const T* plane = from + ((chunk.image + image) * l.groups + group) * l.in_channels * l.in_plane;
    for (int64_t channel = 0; channel < l.in_channels; ++channel) {
      copy_window(plane, l.rows.in(), l.columns.in(), row, l.window_rows, column, l.window_columns,
                  l.columns.parts(), window);
      plane += l.in_plane;
      window += l.window_plane;
    }
  }
}

/// Calls body(pixel in the chunk, its image, its position in the plane, count) for runs of pixels
/// that are contiguous in both.
template <class Body>
void for_each_run(const ConvolutionPlan& plan, const Layout& l, const Chunk& chunk,
                  const Body& body) {
  const int64_t wide = l.columns.out();
  for (int64_t image = 0; image < chunk.images; ++image) {
    const int64_t first = image * plan.rows * plan.columns;
    if (chunk.columns == wide) {
      body(first, chunk.image + image, chunk.row * wide, chunk.rows * wide);
      continue;
    }
    for (int64_t i = 0; i < chunk.rows; ++i) {
      body(first + i * plan.columns, chunk.image + image, (chunk.row + i) * wide + chunk.column,
           chunk.columns);
    }
  }
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
