// Convolution: how a pass is cut into chunks of pixels, and the loops over a chunk.
#include <rapt/ops/kernels/convolution.hpp>
#include <rapt/ops/kernels/convolution_tile.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

using Axis = ConvolutionAxis;
using Pass = ConvolutionPass;
using Plan = ConvolutionPlan;
using Shape = ConvolutionShape;

// A chunk's copy of the input, and its result of one panel, stay in the L2 cache.
constexpr int64_t window_bytes = 393216;
constexpr int64_t panel_bytes = 262144;

// Small images are put together to chunks of so many pixels.
constexpr int64_t least_pixels = 256;

// Products summed at a time: so many rows of a panel stay in the L1 cache.
constexpr int64_t block_depth = 160;

// Chunks that there are at least, where the batch has as many images.
constexpr int64_t least_chunks = 16;
constexpr int64_t most_parts = 16;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t whole_lines(int64_t bytes) { return ceil_div(bytes, 64) * 64; }

/// One direction of a pass: how a band of its pixels reads its window of the input.
///
/// The input's gradient is a convolution of y's gradient, once for each phase of its pixels modulo
/// the stride: phase j has pixels j, j + stride, .. and the taps that meet them.
struct Walk {
  Axis axis;
  bool transposed;

  int64_t in() const { return transposed ? axis.out : axis.in; }
  int64_t out() const { return transposed ? axis.in : axis.out; }
  int64_t reach() const { return axis.dilation * (axis.kernel - 1); }
  int64_t phases() const { return transposed ? axis.stride : 1; }
  /// Where the window of the pixels from `first` on begins; `first` is a multiple of phases().
  int64_t window_begin(int64_t first) const {
    return transposed ? first / axis.stride + floor_div(axis.padding - reach(), axis.stride)
                      : first * axis.stride - axis.padding;
  }
  int64_t window(int64_t pixels) const {
    return transposed ? floor_div(pixels - 1 + axis.padding, axis.stride) - window_begin(0) + 1
                      : (pixels - 1) * axis.stride + reach() + 1;
  }
  int64_t pixels_in_phase(int64_t phase, int64_t pixels) const {
    return phase < pixels ? ceil_div(pixels - phase, phases()) : 0;
  }
  /// From one pixel of a phase to the next, in the window.
  int64_t step() const { return transposed ? 1 : axis.stride; }
  bool meets(int64_t phase, int64_t tap) const {
    const int64_t distance = phase + axis.padding - tap * axis.dilation;
    return !transposed || floor_div(distance, axis.stride) * axis.stride == distance;
  }
  int64_t taps(int64_t phase) const {
    int64_t count = 0;
    for (int64_t tap = 0; tap < axis.kernel; ++tap) count += meets(phase, tap) ? 1 : 0;
    return count;
  }
  /// From a phase's first pixel, in the window.
  int64_t tap_offset(int64_t phase, int64_t tap) const {
    const int64_t distance = phase + axis.padding - tap * axis.dilation;
    return transposed ? floor_div(distance, axis.stride) - window_begin(0) : tap * axis.dilation;
  }
};

/// What follows from a plan. The weight's gradient walks as the forward pass does.
struct Layout {
  explicit Layout(const Plan& p)
      : transposed(p.pass == Pass::input_gradient),
        rows{p.shape.rows, transposed},
        columns{p.shape.columns, transposed},
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
        image_chunks(ceil_div(p.shape.batch, p.images)),
        chunks(image_chunks * p.row_bands * p.column_bands) {}

  bool transposed;
  Walk rows, columns;
  int64_t groups, x_channels, y_channels;  // Of one group.
  int64_t in_channels, out_channels;       // Of one group: what is read, and what comes of it.
  int64_t taps, depth;
  int64_t window_rows, window_columns, window_plane, window_image;
  int64_t pixels;  // Of a full chunk.
  int64_t in_plane, out_plane;
  int64_t image_chunks, chunks;
};

/// The channels that come of a group, in panels of a few vectors.
template <class T>
struct Panels {
  explicit Panels(int64_t channels)
      : count(ceil_div(ceil_div(channels, lanes<T>), most_panel_vectors)),
        parts(ceil_div(channels, lanes<T>), larger(count, 1)),
        width(ceil_div(channels, lanes<T>) * lanes<T>) {}
  int64_t vectors(int64_t i) const { return parts.begin(i + 1) - parts.begin(i); }
  int64_t begin(int64_t i) const { return parts.begin(i) * lanes<T>; }
  int64_t widest() const { return (parts.base + (parts.extra != 0)) * lanes<T>; }

  int64_t count;
  Parts parts;
  int64_t width;  // Of all panels.
};

/// What the tasks share: the ordered weight (or the parts of its gradient) and tables.
template <class T>
struct Shared {
  Shared(const Plan& plan, const Layout& l, void* memory)
      : numbers(static_cast<T*>(memory)),
        steps(reinterpret_cast<int32_t*>(static_cast<char*>(memory) +
                                         whole_lines(number_count(plan, l) * size))),
        rows(steps + l.depth),
        places(rows + l.pixels),
        counts(places + l.pixels) {}

  static int64_t number_count(const Plan& plan, const Layout& l) {
    return plan.parts * l.groups * Panels<T>(l.out_channels).width * l.depth;
  }
  static int64_t bytes(const Plan& plan, const Layout& l) {
    const int64_t counts = plan.pass == Pass::weight_gradient ? l.depth : 0;
    return whole_lines(number_count(plan, l) * size) +
           whole_lines((l.depth + 2 * l.pixels + counts) * 4);
  }
  /// Panel `panel` of a group: [depth, its width].
  T* of(const Layout& l, int64_t part, int64_t group, const Panels<T>& panels,
        int64_t panel) const {
    return numbers + ((part * l.groups + group) * panels.width + panels.begin(panel)) * l.depth;
  }

  static constexpr auto size = static_cast<int64_t>(sizeof(T));
  T* numbers;
  int32_t* steps;   // [depth]: of channels and taps, phase by phase.
  int32_t* rows;    // [pixels]: where a pixel's window begins, phase by phase.
  int32_t* places;  // [pixels]: the same pixels among those of a chunk.
  int32_t* counts;  // [depth]: 0, 1, ..
};

template <class T>
Plan make_plan(Pass pass, const Shape& shape) {
  constexpr auto size = static_cast<int64_t>(sizeof(T));
  Plan plan;
  plan.pass = pass;
  plan.shape = shape;
  const Walk rows{shape.rows, pass == Pass::input_gradient},
      columns{shape.columns, pass == Pass::input_gradient};
  const bool weight = pass == Pass::weight_gradient;
  plan.rows = rows.out();
  plan.columns = columns.out();
  if (shape.batch == 0 && !weight) return plan;
  const Panels<T> panels(Layout(plan).out_channels);
  const auto fits = [&] {
    const Layout l(plan);
    return l.window_image * size <= window_bytes &&
           l.pixels * panels.widest() * size <= panel_bytes;
  };
  const auto halve = [](int64_t pixels, int64_t phases) {
    return ceil_div(ceil_div(pixels, 2), phases) * phases;
  };
  while (!fits() && halve(plan.rows, rows.phases()) < plan.rows) {
    plan.rows = halve(plan.rows, rows.phases());
  }
  while (!fits() && halve(plan.columns, columns.phases()) < plan.columns) {
    plan.columns = halve(plan.columns, columns.phases());
  }
  plan.row_bands = ceil_div(rows.out(), larger(plan.rows, 1));
  plan.column_bands = ceil_div(columns.out(), larger(plan.columns, 1));
  if (plan.row_bands * plan.column_bands == 1) {
    const int64_t most = larger(1, shape.batch / least_chunks);
    while (plan.images < most && Layout(plan).pixels < least_pixels) {
      ++plan.images;
      if (!fits()) {
        --plan.images;
        break;
      }
    }
  }
  const Layout l(plan);
  plan.prepare_tasks = weight ? 1 : 1 + l.groups * panels.count;
  plan.tasks = l.chunks * l.groups;
  int64_t worker = whole_lines((plan.images * l.window_image + lanes<T>)*size) +
                   whole_lines(l.pixels * panels.widest() * size);
  if (weight) {
    plan.parts = larger(1, smaller(most_parts, l.chunks));
    plan.tasks = plan.parts * l.groups;
    plan.combine_tasks = l.groups * panels.count;
  }
  plan.worker_bytes = static_cast<size_t>(worker);
  plan.shared_bytes = static_cast<size_t>(Shared<T>::bytes(plan, l));
  return plan;
}

/// Calls body(phase of the rows, phase of the columns).
template <class Body>
void for_each_phase(const Layout& l, const Body& body) {
  for (int64_t i = 0; i < l.rows.phases(); ++i) {
    for (int64_t j = 0; j < l.columns.phases(); ++j) body(i, j);
  }
}

/// Calls body(channel, row of the tap, column of the tap), in the order in which a phase sums.
template <class Body>
void for_each_step(const Layout& l, int64_t row_phase, int64_t column_phase, const Body& body) {
  for (int64_t channel = 0; channel < l.in_channels; ++channel) {
    for (int64_t i = 0; i < l.rows.axis.kernel; ++i) {
      if (!l.rows.meets(row_phase, i)) continue;
      for (int64_t j = 0; j < l.columns.axis.kernel; ++j) {
        if (l.columns.meets(column_phase, j)) body(channel, i, j);
      }
    }
  }
}

template <class T>
void make_tables(const Plan& plan, const Layout& l, const Shared<T>& shared) {
  int32_t *step = shared.steps, *row = shared.rows, *place = shared.places;
  for_each_phase(l, [&](int64_t row_phase, int64_t column_phase) {
    for_each_step(l, row_phase, column_phase, [&](int64_t channel, int64_t i, int64_t j) {
      *step++ = static_cast<int32_t>(channel * l.window_plane +
                                     l.rows.tap_offset(row_phase, i) * l.window_columns +
                                     l.columns.tap_offset(column_phase, j));
    });
    const int64_t high = l.rows.pixels_in_phase(row_phase, plan.rows);
    const int64_t wide = l.columns.pixels_in_phase(column_phase, plan.columns);
    for (int64_t image = 0; image < plan.images; ++image) {
      for (int64_t i = 0; i < high; ++i) {
        for (int64_t j = 0; j < wide; ++j) {
          *row++ = static_cast<int32_t>(
              image * l.window_image + i * l.rows.step() * l.window_columns + j * l.columns.step());
          *place++ = static_cast<int32_t>((image * plan.rows + row_phase + i * l.rows.phases()) *
                                              plan.columns +
                                          column_phase + j * l.columns.phases());
        }
      }
    }
  });
  if (plan.pass != Pass::weight_gradient) return;
  for (int64_t i = 0; i < l.depth; ++i) shared.counts[i] = static_cast<int32_t>(i);
}

template <class T>
void prepare(const Plan& plan, const T* weight, void* memory, int64_t task) {
  const Layout l(plan);
  const Shared<T> shared(plan, l, memory);
  if (task == 0) return make_tables(plan, l, shared);
  const Panels<T> panels(l.out_channels);
  const int64_t group = (task - 1) / panels.count, panel = (task - 1) % panels.count;
  const int64_t width = panels.vectors(panel) * lanes<T>, first = panels.begin(panel);
  const int64_t columns = smaller(width, l.out_channels - first);
  const int64_t y_step = l.x_channels * l.taps, x_step = l.taps;
  const int64_t column_step = l.transposed ? x_step : y_step;
  const int64_t channel_step = l.transposed ? y_step : x_step;
  const T* const from = weight + group * l.y_channels * y_step + first * column_step;
  T* to = shared.of(l, 0, group, panels, panel);
  if (!l.transposed) return pack_panel(from, 1, column_step, l.depth, columns, to, width);
  for_each_phase(l, [&](int64_t row_phase, int64_t column_phase) {
    for_each_step(l, row_phase, column_phase, [&](int64_t channel, int64_t i, int64_t j) {
      const T* const w = from + channel * channel_step + i * l.columns.axis.kernel + j;
      for (int64_t c = 0; c < columns; ++c) to[c] = w[c * column_step];
      for (int64_t c = columns; c < width; ++c) to[c] = 0;
      to += width;
    });
  });
}

/// A chunk: some images, or a band of one.
struct Chunk {
  Chunk(const Plan& plan, const Layout& l, int64_t index) {
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

/// The windows of a chunk's images: [images, channels of the group, window].
template <class T>
void copy_windows(const Layout& l, const Chunk& chunk, int64_t group, const T* from, T* window) {
  const int64_t row = l.rows.window_begin(chunk.row), column = l.columns.window_begin(chunk.column);
  for (int64_t image = 0; image < chunk.images; ++image) {
    const T* plane = from + ((chunk.image + image) * l.groups + group) * l.in_channels * l.in_plane;
    for (int64_t channel = 0; channel < l.in_channels; ++channel) {
      copy_window(plane, l.rows.in(), l.columns.in(), row, l.window_rows, column, l.window_columns,
                  window);
      plane += l.in_plane;
      window += l.window_plane;
    }
  }
}

/// Calls body(pixel in the chunk, its image, where it lies in the plane, count) for pixels that lie
/// side by side in both.
template <class Body>
void for_each_run(const Plan& plan, const Layout& l, const Chunk& chunk, const Body& body) {
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

/// C (+)= A B with sums of bounded length.
template <class T>
void blocked_product(TableProduct<T> product, int64_t vectors, const int32_t* rows,
                     const int32_t* places, int64_t count) {
  const int64_t blocks = larger(1, ceil_div(product.depth, block_depth));
  const Parts depths(product.depth, blocks);
  const TableProduct<T> whole = product;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = depths.begin(block);
    product.steps = whole.steps + first;
    product.depth = depths.begin(block + 1) - first;
    product.b = whole.b + first * vectors * lanes<T>;
    table_product(product, vectors, rows, places, count);
    product.add = true;
  }
}

template <class T>
void run_pixels(const Plan& plan, const T* from, const T* bias, T* to, void* memory, void* worker,
                int64_t task) {
  const Layout l(plan);
  const Shared<T> shared(plan, l, memory);
  const Panels<T> panels(l.out_channels);
  const int64_t group = task % l.groups;
  const Chunk chunk(plan, l, task / l.groups);
  T* const window = static_cast<T*>(worker);
  T* const result = reinterpret_cast<T*>(
      static_cast<char*>(worker) +
      whole_lines((plan.images * l.window_image + lanes<T>)*static_cast<int64_t>(sizeof(T))));
  copy_windows(l, chunk, group, from, window);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t vectors = panels.vectors(panel), width = vectors * lanes<T>;
    TableProduct<T> product{.a = window,
                            .steps = shared.steps,
                            .depth = 0,
                            .b = shared.of(l, 0, group, panels, panel),
                            .c = result,
                            .add = false};
    const int32_t *rows = shared.rows, *places = shared.places;
    for_each_phase(l, [&](int64_t i, int64_t j) {
      product.depth = l.in_channels * l.rows.taps(i) * l.columns.taps(j);
      const int64_t count = chunk.images * l.rows.pixels_in_phase(i, chunk.rows) *
                            l.columns.pixels_in_phase(j, chunk.columns);
      blocked_product(product, vectors, rows, places, count);
      const int64_t all = plan.images * l.rows.pixels_in_phase(i, plan.rows) *
                          l.columns.pixels_in_phase(j, plan.columns);
      rows += all;
      places += all;
      product.steps += product.depth;
      product.b += product.depth * width;
    });
    const int64_t first = panels.begin(panel), columns = smaller(width, l.out_channels - first);
    const int64_t channel = group * l.out_channels + first;
    for_each_run(plan, l, chunk, [&](int64_t pixel, int64_t image, int64_t at, int64_t count) {
      T* const plane = to + (image * l.groups * l.out_channels + channel) * l.out_plane;
      put_transposed(result + pixel * width, width, count, columns, plane + at, l.out_plane,
                     bias == nullptr ? nullptr : bias + channel);
    });
  }
}

/// The sum over some chunks of the products of x's pixels under a tap with y's gradient.
template <class T>
void run_weight(const Plan& plan, const T* x, const T* y, void* memory, void* worker,
                int64_t task) {
  const Layout l(plan);
  const Shared<T> shared(plan, l, memory);
  const Panels<T> panels(l.out_channels);
  const int64_t group = task % l.groups, part = task / l.groups;
  T* const window = static_cast<T*>(worker);
  T* const packed = reinterpret_cast<T*>(
      static_cast<char*>(worker) +
      whole_lines((plan.images * l.window_image + lanes<T>)*static_cast<int64_t>(sizeof(T))));
  const Parts chunks(l.chunks, plan.parts);
  const auto add_panel = [&](int64_t panel, const Chunk& chunk, bool add) {
    const int64_t vectors = panels.vectors(panel), width = vectors * lanes<T>;
    const int64_t first = panels.begin(panel), columns = smaller(width, l.out_channels - first);
    int64_t pixels = 0;
    for_each_run(plan, l, chunk, [&](int64_t pixel, int64_t image, int64_t at, int64_t count) {
      const T* const plane =
          y + ((image * l.groups + group) * l.out_channels + first) * l.out_plane;
      pack_panel(plane + at, 1, l.out_plane, count, columns, packed + pixel * width, width);
      pixels = pixel + count;
    });
    const TableProduct<T> product{.a = window,
                                  .steps = shared.rows,
                                  .depth = pixels,
                                  .b = packed,
                                  .c = shared.of(l, part, group, panels, panel),
                                  .add = add};
    blocked_product(product, vectors, shared.steps, shared.counts, l.depth);
  };
  const int64_t begin = chunks.begin(part);
  if (l.chunks == 0) {
    T* const sum = shared.of(l, part, group, panels, 0);
    for (int64_t i = 0; i < panels.width * l.depth; i += lanes<T>) store(sum + i, Vec<T>(T(0)));
  }
  for (int64_t i = begin; i < chunks.begin(part + 1); ++i) {
    const Chunk chunk(plan, l, i);
    copy_windows(l, chunk, group, x, window);
    for (int64_t panel = 0; panel < panels.count; ++panel) add_panel(panel, chunk, i > begin);
  }
}

template <class T>
void run(const Plan& plan, const T* from, const T* other, const T* bias, T* to, void* shared,
         void* worker, int64_t task) {
  if (plan.pass == Pass::weight_gradient)
    return run_weight(plan, from, other, shared, worker, task);
  run_pixels(plan, from, bias, to, shared, worker, task);
}

/// Adds up the parts, the first to the last, and puts channels of y first again.
template <class T>
void combine(const Plan& plan, const void* memory, T* to, int64_t task) {
  const Layout l(plan);
  const Shared<T> shared(plan, l, const_cast<void*>(memory));
  const Panels<T> panels(l.out_channels);
  const int64_t group = task / panels.count, panel = task % panels.count;
  const int64_t width = panels.vectors(panel) * lanes<T>, first = panels.begin(panel);
  T* const sum = shared.of(l, 0, group, panels, panel);
  for (int64_t part = 1; part < plan.parts; ++part) {
    const T* const more = shared.of(l, part, group, panels, panel);
    for (int64_t i = 0; i < l.depth * width; i += lanes<T>)
      store(sum + i, load(sum + i) + load(more + i));
  }
  put_transposed(sum, width, l.depth, smaller(width, l.out_channels - first),
                 to + (group * l.out_channels + first) * l.depth, l.depth,
                 static_cast<const T*>(nullptr));
}

}  // namespace

extern const ConvolutionKernels table_ConvolutionKernels = {
    {prepare<float>, run<float>, combine<float>, make_plan<float>},
    {prepare<double>, run<double>, combine<double>, make_plan<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
