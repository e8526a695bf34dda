// Copies between strided views.
//
// plan() drops axes of extent 1, sorts axes by the strides of the destination so that writes are in
// memory order, and merges axes that both views step through evenly. If the source is contiguous
// along an axis other than the last, the copy is a transpose. A transpose runs in strips of 16 rows
// by 64 columns, so that every cache line that is read is fully used before it is evicted. Elements
// of 4 bytes are transposed in registers, 4 x 4 at a time. All other copies run row by row.
// reference.hpp says what is computed.
#include "ops/kernels/elementwise/copy.hpp"

#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

// Approximate number of elements per task.
constexpr int64_t task_elements = 65536;
// Tile of a transpose: one cache line of floats along the source, and 64 columns.
constexpr int64_t strip_rows = 16;
constexpr int64_t strip_columns = 64;

inline int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

void move_dimension(CopyPlan& p, int from, int to) {
  const int step = from < to ? 1 : -1;
  for (int d = from; d != to; d += step) {
    const auto swap = [d, step](int64_t* v) {
      const int64_t t = v[d];
      v[d] = v[d + step];
      v[d + step] = t;
    };
    swap(p.shape);
    swap(p.from_strides);
    swap(p.to_strides);
  }
}

CopyPlan plan(int element_bytes, int dims, const int64_t* shape, const int64_t* from_strides,
              const int64_t* to_strides) {
  CopyPlan p = {};
  p.element_bytes = element_bytes;
  int64_t size = 1;
  for (int d = 0; d < dims; ++d) {
    size *= shape[d];
    if (shape[d] == 1) continue;
    p.shape[p.dims] = shape[d];
    p.from_strides[p.dims] = from_strides[d];
    p.to_strides[p.dims] = to_strides[d];
    ++p.dims;
  }
  if (p.dims == 0) {
    p.dims = 1;
    p.shape[0] = p.from_strides[0] = p.to_strides[0] = 1;
  }
  // Sort axes so that writes are in memory order. Then merge axes that both views step through
  // evenly.
  for (int d = 1; d < p.dims; ++d) {
    for (int e = d; e > 0 && magnitude(p.to_strides[e - 1]) < magnitude(p.to_strides[e]); --e) {
      move_dimension(p, e, e - 1);
    }
  }
  int kept = 0;
  for (int d = 1; d < p.dims; ++d) {
    if (p.from_strides[kept] == p.from_strides[d] * p.shape[d] &&
        p.to_strides[kept] == p.to_strides[d] * p.shape[d]) {
      p.shape[kept] *= p.shape[d];
    } else {
      p.shape[++kept] = p.shape[d];
    }
    p.from_strides[kept] = p.from_strides[d];
    p.to_strides[kept] = p.to_strides[d];
  }
  p.dims = kept + 1;
  const int last = p.dims - 1;
  int64_t unit_elements = p.shape[last];
  if (magnitude(p.from_strides[last]) > 1) {
    for (int d = 0; d < last; ++d) {
      if (magnitude(p.from_strides[d]) == 1) {
        move_dimension(p, d, last - 1);
        p.transposed = true;
        break;
      }
    }
  }
  p.units = 1;
  for (int d = 0; d < last; ++d) p.units *= p.shape[d];
  if (p.transposed) {
    const int64_t strips = ceil_div(p.shape[last - 1], strip_rows);
    if (p.shape[last - 1] > 0) p.units = p.units / p.shape[last - 1] * strips;
    unit_elements *= strip_rows;
  }
  p.units_per_task =
      unit_elements < 1 || unit_elements > task_elements ? 1 : task_elements / unit_elements;
  p.tasks = size == 0 ? 0 : ceil_div(p.units, p.units_per_task);
  return p;
}

template <class E>
void copy_row(const E* from, E* to, int64_t n, int64_t from_stride, int64_t to_stride) {
  if (to_stride == 1 && from_stride == 1) {
    __builtin_memcpy(to, from, static_cast<size_t>(n) * sizeof(E));
  } else if (to_stride == 1 && from_stride == 0) {
    const E value = *from;
    for (int64_t i = 0; i < n; ++i) to[i] = value;
  } else if (to_stride == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * from_stride];
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
  }
}

/// Copies rows x columns elements in tiles. A tile is small enough that the cache lines read for
/// its first row are still present for its last.
template <class E>
void copy_strip(const E* from, E* to, int64_t rows, int64_t columns, int64_t from_row,
                int64_t from_column, int64_t to_row, int64_t to_column) {
  int64_t begin = 0;
  if constexpr (isa.transposes_four && sizeof(E) == 4) {
    if (rows == strip_rows && from_row == 1 && to_column == 1) {
      for (; begin + 4 <= columns; begin += 4) {
        for (int64_t r = 0; r < strip_rows; r += 4) {
          transpose_four(from + r + begin * from_column, to + r * to_row + begin, from_column,
                         to_row);
        }
      }
    }
  }
  for (; begin < columns; begin += strip_columns) {
    const int64_t n = smaller(columns - begin, strip_columns);
    for (int64_t r = 0; r < rows; ++r) {
      copy_row(from + r * from_row + begin * from_column, to + r * to_row + begin * to_column, n,
               from_column, to_column);
    }
  }
}

template <class E>
void run_units(const CopyPlan& p, const E* from, E* to, int64_t begin, int64_t end) {
  const int last = p.dims - 1;
  // Units enumerate all axes except the last. In a transpose, a strip counts as one.
  const int counted = last;
  int64_t extent[8];
  int64_t at[8];
  for (int d = 0; d < counted; ++d) extent[d] = p.shape[d];
  if (p.transposed) extent[last - 1] = ceil_div(p.shape[last - 1], strip_rows);
  int64_t rest = begin;
  for (int d = counted - 1; d >= 0; --d) {
    at[d] = rest % extent[d];
    rest /= extent[d];
  }
  for (int64_t unit = begin; unit < end; ++unit) {
    int64_t f = 0;
    int64_t t = 0;
    for (int d = 0; d < counted; ++d) {
      const int64_t i = p.transposed && d == last - 1 ? at[d] * strip_rows : at[d];
      f += i * p.from_strides[d];
      t += i * p.to_strides[d];
    }
    if (p.transposed) {
      const int64_t left = p.shape[last - 1] - at[last - 1] * strip_rows;
      copy_strip(from + f, to + t, left < strip_rows ? left : strip_rows, p.shape[last],
                 p.from_strides[last - 1], p.from_strides[last], p.to_strides[last - 1],
                 p.to_strides[last]);
    } else {
      copy_row(from + f, to + t, p.shape[last], p.from_strides[last], p.to_strides[last]);
    }
    for (int d = counted - 1; d >= 0; --d) {
      if (++at[d] < extent[d]) break;
      at[d] = 0;
    }
  }
}

template <class E>
void run_as(const CopyPlan& p, const void* from, void* to, int64_t begin, int64_t end) {
  run_units(p, static_cast<const E*>(from), static_cast<E*>(to), begin, end);
}

void run(const CopyPlan& p, const void* from, void* to, int64_t task) {
  const int64_t begin = task * p.units_per_task;
  const int64_t end = smaller(begin + p.units_per_task, p.units);
  switch (p.element_bytes) {
    case 1:
      return run_as<uint8_t>(p, from, to, begin, end);
    case 4:
      return run_as<uint32_t>(p, from, to, begin, end);
    default:
      return run_as<uint64_t>(p, from, to, begin, end);
  }
}

}  // namespace

extern const CopyKernels table_CopyKernels;
const CopyKernels table_CopyKernels = {plan, run};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
