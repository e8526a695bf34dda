// Reductions over one dimension, and cumulative sums.
//
// An array [outer, n, inner] is cut into tiles of inner and, if n is long, into chunks of n. If
// inner is 1, a row is contiguous: vectors run along n with four independent accumulators.
// Otherwise vectors run along inner and rows are added four at a time. If inner is small, several
// rows are treated as one to fill the vectors. Sums in T are short and are then joined, which keeps
// rounding errors small. The partial results of chunks are combined by a binary tree whose shape
// depends on sizes only. Logsumexp takes the maximum first and then the sum of exponentials
// relative to it. reference.hpp says what is computed.
#include "ops/kernels/rows/reduce.hpp"

#include <limits>

#include "ops/kernels/rows/row_reduce.hpp"
#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/math.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

// Approximate number of elements that one task reads.
constexpr int64_t task_elements = 65536;
// A contiguous n up to `whole_row` is a single chunk. A longer one is cut into chunks of
// `row_chunk`.
constexpr int64_t whole_row = 32768;
constexpr int64_t row_chunk = 16384;
constexpr int64_t max_tile = 512;
// Number of rows whose column sums are computed before they are added to the total.
constexpr int64_t strip_rows = 128;
// With at most this many columns and no gaps between rows, several rows are reduced together.
constexpr int64_t narrow = 32;
constexpr int64_t combine_block = 64;

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

/// A reduction: its initial value, the mapping of an element, and the combination of two results.
template <class T>
struct Sum {
  static constexpr T start = T(0);
  static Vec<T> map(const Vec<T>& x) { return x; }
  static Vec<T> join(const Vec<T>& a, const Vec<T>& b) { return a + b; }
};

template <class T>
struct SumOfSquares : Sum<T> {
  static Vec<T> map(const Vec<T>& x) { return x * x; }
};

/// NaN must propagate. x86's max returns its second operand if either is NaN.
template <class T>
struct Max {
  static constexpr T start = -infinity<T>;
  static Vec<T> map(const Vec<T>& x) { return x; }
  static Vec<T> join(const Vec<T>& a, const Vec<T>& b) {
    return xsimd::select(a == a, xsimd::max(a, b), a);
  }
};

template <class T>
struct Min {
  static constexpr T start = infinity<T>;
  static Vec<T> map(const Vec<T>& x) { return x; }
  static Vec<T> join(const Vec<T>& a, const Vec<T>& b) {
    return xsimd::select(a == a, xsimd::min(a, b), a);
  }
};

template <class Op, class T>
T join_one(T a, T b) {
  return Op::join(Vec<T>(a), Vec<T>(b)).get(0);
}

template <class Op, class T>
T reduce_row(const T* x, int64_t n) {
  // Reduce pieces separately and join the results: a long sum in float would lose digits.
  constexpr int64_t piece = 128 * lanes<T>;
  Vec<T> v(Op::start);
  for (int64_t i = 0; i < n; i += piece) {
    const T* p = x + i;
    Accumulators<T> part(Op::start);
    over_row<T>(
        smaller(n - i, piece), [&](int64_t j, auto access,
                                   int slot) __attribute__((always_inline)) {
          part.of[slot] = Op::join(part.of[slot], Op::map(get(access, p + j, Op::start)));
        });
    v = Op::join(v, Op::join(Op::join(part.of[0], part.of[1]), Op::join(part.of[2], part.of[3])));
  }
  T lane[Vec<T>::size];
  store(lane, v);
  for (int64_t width = lanes<T> / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) lane[i] = join_one<Op>(lane[i], lane[i + width]);
  }
  return lane[0];
}

/// Reduces x[i * stride + c] over i < rows into to[c], four rows at a time.
template <class Op, class T>
void reduce_strip(const T* x, int64_t rows, int64_t stride, int64_t columns, T* to) {
  for (int64_t c = 0; c < columns; ++c) to[c] = Op::start;
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    const T* p = x + i * stride;
    for_each_vector<T>(
        columns, [&](int64_t c, auto access) __attribute__((always_inline)) {
          const auto element = [&](int64_t row) __attribute__((always_inline)) {
            return Op::map(access.get(p + row * stride + c));
          };
          const Vec<T> four =
              Op::join(Op::join(element(0), element(1)), Op::join(element(2), element(3)));
          access.put(to + c, Op::join(access.get(to + c), four));
        });
  }
  for (; i < rows; ++i) {
    const T* p = x + i * stride;
    for_each_vector<T>(
        columns, [&](int64_t c, auto access) __attribute__((always_inline)) {
          access.put(to + c, Op::join(access.get(to + c), Op::map(access.get(p + c))));
        });
  }
}

template <class Op, class T>
void join_columns(T* to, const T* from, int64_t columns) {
  for_each_vector<T>(
      columns, [&](int64_t c, auto access) __attribute__((always_inline)) {
        access.put(to + c, Op::join(access.get(to + c), access.get(from + c)));
      });
}

template <class Op, class T>
void reduce_columns(const T* x, int64_t rows, int64_t stride, int64_t columns, T* to) {
  alignas(64) T strip[max_tile];
  reduce_strip<Op>(x, rows < strip_rows ? rows : strip_rows, stride, columns, to);
  for (int64_t i = strip_rows; i < rows; i += strip_rows) {
    const int64_t n = smaller(rows - i, strip_rows);
    reduce_strip<Op>(x + i * stride, n, stride, columns, strip);
    join_columns<Op>(to, strip, columns);
  }
}

/// Reduces a few columns without gaps. Several rows are treated as one, so that vectors are full.
template <class Op, class T>
void reduce_narrow(const T* x, int64_t rows, int64_t columns, T* to) {
  alignas(64) T wide[max_tile];
  const int64_t group = max_tile / columns;
  const int64_t groups = rows / group;
  reduce_columns<Op>(x, groups, group * columns, group * columns, wide);
  const int64_t rest = rows - groups * group;
  reduce_columns<Op>(x + groups * group * columns, rest, columns, columns, to);
  for (int64_t i = 0; i < group; ++i) join_columns<Op>(to, wide + i * columns, columns);
}

/// Reduces n x columns elements, or a contiguous row of n if `row`.
template <class Op, class T>
void reduce(const T* x, int64_t n, int64_t stride, int64_t columns, bool row, T* to) {
  if (row) {
    *to = reduce_row<Op>(x, n);
  } else if (stride == columns && columns <= narrow && n * columns >= 2 * max_tile) {
    reduce_narrow<Op>(x, n, columns, to);
  } else {
    reduce_columns<Op>(x, n, stride, columns, to);
  }
}

/// Returns the base that exponents are relative to. It is finite, because inf - inf would give NaN.
template <class T>
T exponent_base(T top) {
  return top < infinity<T> && top > -infinity<T> ? top : T(0);
}

/// Computes top[c] = the maximum and sum[c] = the sum of exp(x - exponent_base(top[c])).
template <class T>
void sum_exponentials(const T* x, int64_t n, int64_t stride, int64_t columns, bool row, T* top,
                      T* sum) {
  reduce<Max<T>>(x, n, stride, columns, row, top);
  if (row) {
    const Vec<T> base(exponent_base(*top));
    Accumulators<T> total(0);
    over_row<T>(
        n, [&](int64_t j, auto access, int slot) __attribute__((always_inline)) {
          total.of[slot] += exp(get(access, x + j, -infinity<T>) - base);
        });
    *sum = total.sum();
    return;
  }
  alignas(64) T base[max_tile];
  for (int64_t c = 0; c < columns; ++c) {
    base[c] = exponent_base(top[c]);
    sum[c] = T(0);
  }
  for (int64_t i = 0; i < n; ++i) {
    for_each_vector<T>(
        columns, [&](int64_t c, auto access) __attribute__((always_inline)) {
          const Vec<T> e = exp(access.get(x + i * stride + c) - access.get(base + c));
          access.put(sum + c, access.get(sum + c) + e);
        });
  }
}

template <class T>
void join_exponentials(T* top, T* sum, const T* other_top, const T* other_sum, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) {
    const T joint = join_one<Max<T>>(top[c], other_top[c]);
    const Vec<T> base(exponent_base(joint));
    const auto scaled = [&](T s, T t) {
      return s == T(0) ? s : s * exp(Vec<T>(exponent_base(t)) - base).get(0);
    };
    sum[c] = scaled(sum[c], top[c]) + scaled(other_sum[c], other_top[c]);
    top[c] = joint;
  }
}

template <class T>
void finish_exponentials(const T* top, const T* sum, T* to, T* rest, int64_t columns) {
  for (int64_t c = 0; c < columns; ++c) {
    const T base = exponent_base(top[c]);
    const T log_sum = log(Vec<T>(sum[c])).get(0);
    const T y = base + log_sum;
    to[c] = y;
    // The rounding error of y. It is exact where it matters: for large y, base and y are close, so
    // their difference is exact.
    if (rest != nullptr) rest[c] = y - y == T(0) ? (base - y) + log_sum : T(0);
  }
}

template <class T>
void argmax(const T* x, int64_t n, int64_t stride, int64_t columns, int32_t* to) {
  alignas(64) T best[max_tile];
  for (int64_t c = 0; c < columns; ++c) {
    to[c] = 0;
    best[c] = n > 0 ? x[c] : T(0);
  }
  for (int64_t i = 1; i < n; ++i) {
    const T* p = x + i * stride;
    for (int64_t c = 0; c < columns; ++c) {
      // Better means larger or NaN. Nothing is better than NaN.
      const bool better = !(p[c] <= best[c]) && best[c] == best[c];
      best[c] = better ? p[c] : best[c];
      to[c] = better ? static_cast<int32_t>(i) : to[c];
    }
  }
}

template <class T>
void argmax_row(const T* x, int64_t n, int32_t* to) {
  *to = 0;
  const T best = reduce_row<Max<T>>(x, n);
  for (int64_t i = 0; i < n; ++i) {
    if (x[i] == best || (best != best && x[i] != x[i])) {
      *to = static_cast<int32_t>(i);
      return;
    }
  }
}

ReducePlan plan(Reduction reduction, const ReduceShape& s) {
  ReducePlan p = {};
  p.reduction = reduction;
  p.shape = s;
  const bool row = s.inner == 1;
  p.tile = s.inner < max_tile ? s.inner : max_tile;
  p.tiles = p.tile > 0 ? ceil_div(s.inner, p.tile) : 0;
  p.chunk = s.n;
  if (reduction != Reduction::argmax && p.tile > 0) {
    const int64_t most = row ? whole_row : 2 * task_elements / p.tile;
    if (s.n > most) p.chunk = row ? row_chunk : task_elements / p.tile;
  }
  if (p.chunk < 1) p.chunk = 1;
  p.chunks = s.n > 0 ? ceil_div(s.n, p.chunk) : 1;
  p.outer_block = task_elements / (p.chunk * (p.tile > 0 ? p.tile : 1));
  if (p.outer_block < 1) p.outer_block = 1;
  p.tasks = ceil_div(s.outer, p.outer_block) * p.chunks * p.tiles;
  const int64_t parts = reduction == Reduction::logsumexp ? 2 : 1;
  if (p.chunks > 1) {
    p.combine_tasks = ceil_div(s.outer, combine_block) * p.tiles;
    p.scratch = s.outer * p.chunks * parts * s.inner;
  }
  return p;
}

template <class T>
void run(const ReducePlan& p, const T* x, void* out, T* rest, T* scratch, int64_t task) {
  const ReduceShape& s = p.shape;
  const int64_t tile = task % p.tiles;
  const int64_t k = task / p.tiles % p.chunks;
  const int64_t block = task / (p.tiles * p.chunks);
  const int64_t column = tile * p.tile;
  const int64_t columns = smaller(s.inner - column, p.tile);
  const int64_t first = k * p.chunk;
  const int64_t n = smaller(s.n - first, p.chunk);
  const int64_t last =
      (block + 1) * p.outer_block < s.outer ? (block + 1) * p.outer_block : s.outer;
  const bool row = s.inner == 1;
  const bool partial = p.chunks > 1;
  for (int64_t o = block * p.outer_block; o < last; ++o) {
    const T* from = x + o * s.outer_stride + first * s.row_stride + column;
    const int64_t at = partial ? o * p.chunks + k : o;
    T* to = (partial ? scratch : static_cast<T*>(out)) + at * s.inner + column;
    switch (p.reduction) {
      case Reduction::sum:
        reduce<Sum<T>>(from, n, s.row_stride, columns, row, to);
        break;
      case Reduction::sum_of_squares:
        reduce<SumOfSquares<T>>(from, n, s.row_stride, columns, row, to);
        break;
      case Reduction::max:
        reduce<Max<T>>(from, n, s.row_stride, columns, row, to);
        break;
      case Reduction::min:
        reduce<Min<T>>(from, n, s.row_stride, columns, row, to);
        break;
      case Reduction::logsumexp:
        if (partial) {
          T* top = scratch + at * 2 * s.inner + column;
          sum_exponentials(from, n, s.row_stride, columns, row, top, top + s.inner);
        } else {
          alignas(64) T top[max_tile];
          alignas(64) T sum[max_tile];
          sum_exponentials(from, n, s.row_stride, columns, row, top, sum);
          T* const lost = rest == nullptr ? nullptr : rest + at * s.inner + column;
          finish_exponentials(top, sum, to, lost, columns);
        }
        break;
      case Reduction::argmax:
        int32_t* index = static_cast<int32_t*>(out) + o * s.inner + column;
        if (row) {
          argmax_row(from, n, index);
        } else {
          argmax(from, n, s.row_stride, columns, index);
        }
        break;
    }
  }
}

/// Joins chunks 0 and 1, 2 and 3 and so on, then those pairs: a binary tree, in place.
template <class F>
void over_tree(int64_t chunks, F join) {
  for (int64_t step = 1; step < chunks; step *= 2) {
    for (int64_t k = 0; k + step < chunks; k += 2 * step) join(k, k + step);
  }
}

template <class Op, class T>
void combine_slice(const ReducePlan& p, T* scratch, T* out, int64_t columns) {
  const int64_t inner = p.shape.inner;
  over_tree(p.chunks, [&](int64_t a, int64_t b) {
    if (columns == 1) {
      scratch[a * inner] = join_one<Op>(scratch[a * inner], scratch[b * inner]);
    } else {
      join_columns<Op>(scratch + a * inner, scratch + b * inner, columns);
    }
  });
  for (int64_t c = 0; c < columns; ++c) out[c] = scratch[c];
}

template <class T>
void combine(const ReducePlan& p, T* scratch, void* out, T* rest, int64_t task) {
  const int64_t inner = p.shape.inner;
  const int64_t block = task / p.tiles;
  const int64_t column = task % p.tiles * p.tile;
  const int64_t columns = smaller(inner - column, p.tile);
  const int64_t end = (block + 1) * combine_block;
  for (int64_t o = block * combine_block; o < end && o < p.shape.outer; ++o) {
    T* to = static_cast<T*>(out) + o * inner + column;
    T* from = scratch + o * p.chunks * inner + column;
    switch (p.reduction) {
      case Reduction::max:
        combine_slice<Max<T>>(p, from, to, columns);
        break;
      case Reduction::min:
        combine_slice<Min<T>>(p, from, to, columns);
        break;
      case Reduction::logsumexp: {
        T* top = scratch + o * p.chunks * 2 * inner + column;
        over_tree(p.chunks, [&](int64_t a, int64_t b) {
          T* x = top + a * 2 * inner;
          const T* y = top + b * 2 * inner;
          join_exponentials(x, x + inner, y, y + inner, columns);
        });
        T* const lost = rest == nullptr ? nullptr : rest + o * inner + column;
        finish_exponentials(top, top + inner, to, lost, columns);
        break;
      }
      default:
        combine_slice<Sum<T>>(p, from, to, columns);
        break;
    }
  }
}

/// How a cumulative sum is cut: blocks of outer slices, then tiles.
struct CumsumCut {
  int64_t tile, tiles, outer_block, tasks;
};

CumsumCut cumsum_cut(const ReduceShape& s) {
  CumsumCut cut;
  cut.tile = s.inner < max_tile ? s.inner : max_tile;
  cut.tiles = cut.tile > 0 ? ceil_div(s.inner, cut.tile) : 0;
  const int64_t slice = s.n * cut.tile;
  cut.outer_block = slice > 0 && slice < task_elements ? task_elements / slice : 1;
  cut.tasks = s.n > 0 ? ceil_div(s.outer, cut.outer_block) * cut.tiles : 0;
  return cut;
}

int64_t cumsum_tasks(const ReduceShape& s) { return cumsum_cut(s).tasks; }

/// Accumulates in double, because a long sum in float would lose digits.
template <class T>
void cumsum(const ReduceShape& s, const T* x, T* y, bool reversed, int64_t task) {
  const CumsumCut cut = cumsum_cut(s);
  const int64_t column = task % cut.tiles * cut.tile;
  const int64_t columns = smaller(s.inner - column, cut.tile);
  const int64_t begin = task / cut.tiles * cut.outer_block;
  const int64_t end = smaller(begin + cut.outer_block, s.outer);
  const int64_t first = reversed ? s.n - 1 : 0;
  const int64_t step = reversed ? -1 : 1;
  for (int64_t o = begin; o < end; ++o) {
    const T* from = x + o * s.outer_stride + first * s.row_stride + column;
    T* to = y + (o * s.n + first) * s.inner + column;
    if (s.inner == 1) {
      constexpr int64_t block = 64;
      double total = 0;
      if (s.n < block) {
        for (int64_t i = 0; i < s.n; ++i)
          to[i * step] = T(total += static_cast<double>(from[i * step]));
        continue;
      }
      // Convert in blocks, which vectorises. Only the additions depend on each other.
      double totals[block];
      for (int64_t i = 0; i < s.n; i += block) {
        const int64_t count = smaller(s.n - i, block);
        // The start of the block in memory order.
        const int64_t start = reversed ? -(i + count - 1) : i;
        for (int64_t j = 0; j < count; ++j) totals[j] = static_cast<double>(from[start + j]);
        if (reversed) {
          for (int64_t j = count; j-- > 0;) totals[j] = total += totals[j];
        } else {
          for (int64_t j = 0; j < count; ++j) totals[j] = total += totals[j];
        }
        for (int64_t j = 0; j < count; ++j) to[start + j] = T(totals[j]);
      }
      continue;
    }
    alignas(64) double totals[max_tile] = {};
    for (int64_t i = 0; i < s.n; ++i) {
      const T* next = from + i * step * s.row_stride;
      T* sum = to + i * step * s.inner;
      for (int64_t c = 0; c < columns; ++c) totals[c] += static_cast<double>(next[c]);
      for (int64_t c = 0; c < columns; ++c) sum[c] = T(totals[c]);
    }
  }
}

}  // namespace

extern const ReduceKernels table_ReduceKernels;
const ReduceKernels table_ReduceKernels = {plan,
                                           cumsum_tasks,
                                           {run<float>, combine<float>, cumsum<float>},
                                           {run<double>, combine<double>, cumsum<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
