// Convolution over planes: forward, input gradient and weight gradient.
//
// A pass is cut into chunks of output pixels: several small images, or a band of one image.
// prepare() reorders the weight into panels and builds the offset tables. For each chunk and group,
// a task copies the padded input window into the L2 cache. Then it multiplies the window by the
// weight with a register tile that reads its left operand through the tables. The im2col matrix is
// thus never stored. Results are transposed back to channel planes. The weight gradient multiplies
// the window by packed y gradients into several partial sums, which combine() adds in order. If a
// group has few output channels, vectors run over pixels in place of channels. reference.hpp says
// what is computed.
#include "ops/kernels/convolution/convolution.hpp"

#include "ops/kernels/convolution/convolution_narrow.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

using Pass = ConvolutionPass;
using Plan = ConvolutionPlan;

// A chunk's copy of the input and its result for one panel stay in the L2 cache.
constexpr int64_t window_bytes = 393216;
constexpr int64_t panel_bytes = 262144;

// Small images are grouped into chunks of about this many pixels, if the batch is large enough.
constexpr int64_t least_pixels = 256;

// Number of products summed at a time: this many rows of a panel stay in the L1 cache.
constexpr int64_t block_depth = 160;

// Minimum number of chunks, if the batch has that many images.
constexpr int64_t least_chunks = 16;
constexpr int64_t most_parts = 16;

// Minimum number of multiply-adds per task.
constexpr int64_t task_work = int64_t{1} << 19;

/// True if vectors over pixels need fewer products than vectors over channels.
template <class T>
bool is_narrow(Pass pass, const ConvolutionShape& shape) {
  const bool forward = pass == Pass::forward;
  const int64_t of_y = shape.out_channels / shape.groups, of_x = shape.channels / shape.groups;
  const int64_t channels = pass == Pass::input_gradient ? of_x : of_y;
  const Walk columns{shape.columns, pass == Pass::input_gradient, forward};
  const int64_t wide = columns.pixels_in_phase(0, columns.out());
  return 2 * channels <= lanes<T> && channels * ceil_div(wide, lanes<T>) < wide;
}

template <class T>
Plan make_plan(Pass pass, const ConvolutionShape& shape, bool bias) {
  constexpr auto size = static_cast<int64_t>(sizeof(T));
  const bool weight = pass == Pass::weight_gradient;
  Plan plan;
  plan.pass = pass;
  plan.shape = shape;
  plan.bias = bias;
  plan.narrow = is_narrow<T>(pass, shape);
  if (shape.batch == 0 && !weight) return plan;
  const Walk rows = Layout(plan).rows, columns = Layout(plan).columns;
  plan.rows = rows.out();
  plan.columns = columns.out();
  const Panels<T> panels(plan.narrow, Layout(plan).out_channels);
  const auto result_bytes = [&](const Layout& l) {
    return plan.narrow ? 0 : l.pixels * panels.widest() * size;
  };
  const auto fits = [&] {
    const Layout l(plan);
    return l.window_image * plan.images * size <= window_bytes && result_bytes(l) <= panel_bytes;
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
  plan.row_bands = ceil_div(rows.out(), plan.rows);
  plan.column_bands = ceil_div(columns.out(), plan.columns);
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
  {
    const Layout l(plan);
    const int64_t work = l.pixels * l.depth * panels.width;
    plan.task_groups = smaller(l.groups, larger(1, task_work / larger(work, 1)));
  }
  const Layout l(plan);
  plan.prepare_tasks = weight ? 1 : 1 + l.group_blocks * panels.count;
  plan.tasks = l.chunks * l.group_blocks;
  if (weight) {
    plan.parts = larger(1, smaller(most_parts, l.chunks));
    plan.tasks = plan.parts * l.group_blocks;
    plan.combine_tasks = l.group_blocks;
  }
  plan.worker_bytes = static_cast<size_t>(
      whole_lines((plan.images * l.window_image + lanes<T>)*size) + whole_lines(result_bytes(l)));
  plan.shared_bytes = static_cast<size_t>(Shared<T>::bytes(plan, l));
  return plan;
}

template <class T>
void make_tables(const Plan& plan, const Layout& l, const Shared<T>& shared) {
  int32_t *step = shared.steps, *row = shared.rows, *place = shared.places;
  int32_t* depth = shared.depths;
  for_each_phase(l, [&](int64_t row_phase, int64_t column_phase) {
    const int32_t* const first = step;
    for_each_step(l, row_phase, column_phase, [&](int64_t channel, int64_t i, int64_t j) {
      *step++ =
          static_cast<int32_t>(channel * l.window_plane +
                               l.rows.tap_offset(row_phase, i, l.window_rows) * l.window_columns +
                               l.columns.tap_offset(column_phase, j, l.window_columns));
    });
    *depth++ = static_cast<int32_t>(step - first);
    if (plan.narrow) return;
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
  for (int64_t i = 0; i < l.depth; ++i) shared.counts[i] = static_cast<int32_t>(i);
}

/// Packs one panel of a group's weight: [input channels and taps, phase by phase; output channels].
template <class T>
void pack_weight(const Layout& l, const T* weight, int64_t group, int64_t first, int64_t columns,
                 int64_t width, T* to) {
  const int64_t y_step = l.x_channels * l.taps, x_step = l.taps;
  const int64_t column_step = l.transposed ? x_step : y_step;
  const int64_t channel_step = l.transposed ? y_step : x_step;
  const T* const from = weight + group * l.y_channels * y_step + first * column_step;
  if (!l.transposed && width % lanes<T> == 0) {
    return pack_panel(from, 1, column_step, l.depth, columns, to, width);
  }
  for_each_phase(l, [&](int64_t row_phase, int64_t column_phase) {
    for_each_step(l, row_phase, column_phase, [&](int64_t channel, int64_t i, int64_t j) {
      const T* const w = from + channel * channel_step + i * l.columns.axis.kernel + j;
      for (int64_t c = 0; c < columns; ++c) to[c] = w[c * column_step];
      for (int64_t c = columns; c < width; ++c) to[c] = 0;
      to += width;
    });
  });
}

template <class T>
void prepare(const Plan& plan, const T* weight, void* memory, int64_t task) {
  const Layout l(plan);
  const Shared<T> shared(plan, l, memory);
  if (task == 0) return make_tables(plan, l, shared);
  const Panels<T> panels(plan.narrow, l.out_channels);
  const int64_t panel = (task - 1) % panels.count, width = panels.units(panel) * panels.unit;
  const int64_t begin = (task - 1) / panels.count * plan.task_groups;
  const int64_t end = smaller(begin + plan.task_groups, l.groups);
  const int64_t first = panels.begin(panel);
  for (int64_t group = begin; group < end; ++group) {
    pack_weight(l, weight, group, first, smaller(width, l.out_channels - first), width,
                shared.of(l, 0, group, panels, panel));
  }
}

/// Computes C (+)= A B in blocks, so that the length of each sum is bounded.
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

/// The scratch memory of a task.
template <class T>
struct Worker {
  Worker(const Plan& plan, const Layout& l, void* memory)
      : window(static_cast<T*>(memory)),
        result(reinterpret_cast<T*>(static_cast<char*>(memory) +
                                    whole_lines((plan.images * l.window_image + lanes<T>)*size))) {}

  static constexpr auto size = static_cast<int64_t>(sizeof(T));
  T* window;
  T* result;  // [pixels, panel width]; or the y gradient in that layout
};

template <class T>
void run_pixels(const Plan& plan, const Layout& l, const Shared<T>& shared, const Panels<T>& panels,
                const Chunk& chunk, int64_t group, const Worker<T>& worker, const T* bias, T* to) {
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t vectors = panels.units(panel), width = vectors * lanes<T>;
    TableProduct<T> product{.a = worker.window,
                            .steps = shared.steps,
                            .depth = 0,
                            .b = shared.of(l, 0, group, panels, panel),
                            .c = worker.result,
                            .add = false};
    const int32_t *rows = shared.rows, *places = shared.places, *depth = shared.depths;
    for_each_phase(l, [&](int64_t i, int64_t j) {
      product.depth = *depth++;
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
      put_transposed(worker.result + pixel * width, width, count, columns, plane + at, l.out_plane,
                     bias == nullptr ? nullptr : bias + channel);
    });
  }
}

/// Adds one chunk's products of x's pixels under each tap and the y gradient.
template <class T>
void add_weight(const Plan& plan, const Layout& l, const Shared<T>& shared, const Panels<T>& panels,
                const Chunk& chunk, int64_t part, int64_t group, const Worker<T>& worker,
                const T* y) {
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t vectors = panels.units(panel), width = vectors * lanes<T>;
    const int64_t first = panels.begin(panel), columns = smaller(width, l.out_channels - first);
    int64_t pixels = 0;
    for_each_run(plan, l, chunk, [&](int64_t pixel, int64_t image, int64_t at, int64_t count) {
      const T* const plane =
          y + ((image * l.groups + group) * l.out_channels + first) * l.out_plane;
      pack_panel(plane + at, 1, l.out_plane, count, columns, worker.result + pixel * width, width);
      pixels = pixel + count;
    });
    const TableProduct<T> product{.a = worker.window,
                                  .steps = shared.rows,
                                  .depth = pixels,
                                  .b = worker.result,
                                  .c = shared.of(l, part, group, panels, panel),
                                  .add = true};
    blocked_product(product, vectors, shared.steps, shared.counts, l.depth);
  }
}

template <class T>
void add_narrow_weight(const Layout& l, const Shared<T>& shared, const Panels<T>& panels,
                       const Chunk& chunk, int64_t part, int64_t group, const Worker<T>& worker,
                       const T* y) {
  const int64_t image_step = l.groups * l.out_channels * l.out_plane;
  const T* g = y + chunk.image * image_step + group * l.out_channels * l.out_plane +
               chunk.row * l.columns.out() + chunk.column;
  T* sums = shared.of(l, part, group, panels, 0);
  for (int64_t channel = 0; channel < l.out_channels; ++channel) {
    narrow_weight(l, chunk, worker.window, shared.steps, l.depth, g, image_step, sums);
    g += l.out_plane;
    sums += l.depth * lanes<T>;
  }
}

template <class T>
T sum_of(const T* x, int64_t n) {
  Vec<T> sum[4] = {Vec<T>(T(0)), Vec<T>(T(0)), Vec<T>(T(0)), Vec<T>(T(0))};
  int64_t i = 0;
  for (; i + 4 * lanes<T> <= n; i += 4 * lanes<T>) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sum[k] += load(x + i + k * lanes<T>);
  }
  for (; i + lanes<T> <= n; i += lanes<T>) sum[0] += load(x + i);
  if (i < n) sum[1] += Tail<T>(n - i).load(x + i);
  return sum_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/// Sums the y gradient over the pixels of a chunk.
template <class T>
void add_bias(const Plan& plan, const Layout& l, const Shared<T>& shared, const Chunk& chunk,
              int64_t part, int64_t group, const T* y) {
  T* const bias = shared.bias + (part * l.groups + group) * l.out_channels;
  for_each_run(plan, l, chunk, [&](int64_t, int64_t image, int64_t at, int64_t count) {
    const T* plane = y + (image * l.groups + group) * l.out_channels * l.out_plane + at;
    for (int64_t i = 0; i < l.out_channels; ++i, plane += l.out_plane) {
      bias[i] += sum_of(plane, count);
    }
  });
}

template <class T>
void run_weight(const Plan& plan, const Layout& l, const Shared<T>& shared, const Panels<T>& panels,
                const Worker<T>& worker, int64_t part, int64_t first_group, int64_t last_group,
                const T* x, const T* y) {
  const Parts chunks(l.chunks, plan.parts);
  for (int64_t group = first_group; group < last_group; ++group) {
    T* const sums = shared.of(l, part, group, panels, 0);
    for (int64_t i = 0; i < shared.width * l.depth; ++i) sums[i] = 0;
    T* const bias = shared.bias + (part * l.groups + group) * l.out_channels;
    for (int64_t i = 0; i < l.out_channels; ++i) bias[i] = 0;
    for (int64_t i = chunks.begin(part); i < chunks.begin(part + 1); ++i) {
      const Chunk chunk(plan, l, i);
      copy_windows(l, chunk, group, x, worker.window);
      if (plan.bias) add_bias(plan, l, shared, chunk, part, group, y);
      if (plan.narrow) {
        add_narrow_weight(l, shared, panels, chunk, part, group, worker, y);
      } else {
        add_weight(plan, l, shared, panels, chunk, part, group, worker, y);
      }
    }
  }
}

template <class T>
void run(const Plan& plan, const T* from, const T* other, const T* bias, T* to, void* memory,
         void* working, int64_t task) {
  const Layout l(plan);
  const Shared<T> shared(plan, l, memory);
  const Panels<T> panels(plan.narrow, l.out_channels);
  const Worker<T> worker(plan, l, working);
  const int64_t first = task % l.group_blocks * plan.task_groups;
  const int64_t last = smaller(first + plan.task_groups, l.groups);
  if (plan.pass == Pass::weight_gradient) {
    return run_weight(plan, l, shared, panels, worker, task / l.group_blocks, first, last, from,
                      other);
  }
  const Chunk chunk(plan, l, task / l.group_blocks);
  for (int64_t group = first; group < last; ++group) {
    copy_windows(l, chunk, group, from, worker.window);
    if (plan.narrow) {
      run_narrow_pixels(l, shared, panels, chunk, group, worker.window, bias, to);
    } else {
      run_pixels(plan, l, shared, panels, chunk, group, worker, bias, to);
    }
  }
}

/// Adds the partial sums in order and transposes the result, so that y's channels come first.
template <class T>
void combine(const Plan& plan, void* memory, T* to, T* bias, int64_t task) {
  const Layout l(plan);
  const Shared<T> shared(plan, l, memory);
  const Panels<T> panels(plan.narrow, l.out_channels);
  const int64_t begin = task * plan.task_groups;
  const int64_t end = smaller(begin + plan.task_groups, l.groups);
  for (int64_t group = begin; group < end; ++group) {
    T* const sum = shared.of(l, 0, group, panels, 0);
    for (int64_t part = 1; part < plan.parts; ++part) {
      const T* const more = shared.of(l, part, group, panels, 0);
      for (int64_t i = 0; i < l.depth * shared.width; i += lanes<T>) {
        store(sum + i, load(sum + i) + load(more + i));
      }
    }
    T* const weight = to + group * l.out_channels * l.depth;
    for (int64_t panel = 0; panel < panels.count && !plan.narrow; ++panel) {
      const int64_t width = panels.units(panel) * lanes<T>, first = panels.begin(panel);
      put_transposed(shared.of(l, 0, group, panels, panel), width, l.depth,
                     smaller(width, l.out_channels - first), weight + first * l.depth, l.depth,
                     static_cast<const T*>(nullptr));
    }
    for (int64_t i = 0; i < l.out_channels * l.depth && plan.narrow; ++i) {
      weight[i] = sum_lanes(load(sum + i * lanes<T>));
    }
    for (int64_t i = 0; i < l.out_channels && plan.bias; ++i) {
      T total = 0;
      for (int64_t part = 0; part < plan.parts; ++part) {
        total += shared.bias[(part * l.groups + group) * l.out_channels + i];
      }
      bias[group * l.out_channels + i] = total;
    }
  }
}

}  // namespace

extern const ConvolutionKernels table_ConvolutionKernels = {
    {make_plan<float>, prepare<float>, run<float>, combine<float>},
    {make_plan<double>, prepare<double>, run<double>, combine<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
