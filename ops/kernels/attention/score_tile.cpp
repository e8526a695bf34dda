// Interprets score programs over tiles of attention scores.
//
// begin_score_tile() runs the steps that depend on the tile only. run_score_row() runs the
// remaining forward steps for one query and replaces its scores by the result. run_score_gradient()
// then runs the derivative steps of the same row, adds the gradients of captured arrays to the
// task's sums and replaces the gradients by those of the scaled scores. Each step is one loop over
// a row in the cache. Loads that move by one element per key are split into a clamped part, a
// moving part and a clamped part, so that the common case is a contiguous copy.
#include "ops/kernels/attention/score_tile.hpp"

#include "ops/kernels/elementwise/pointwise_apply.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

/// Runs one instruction over n elements, which are whole vectors. A narrow operand has step 0, a
/// wide one step 1.
template <class T, Code code>
void step(T* out, const T* a, int64_t step_a, const T* b, int64_t step_b, const T* c,
          int64_t step_c, int64_t n) {
  for (int64_t i = 0; i < n; i += lanes<T>) {
    store(out + i,
          apply<T, code>(load(a + i * step_a), load(b + i * step_b), load(c + i * step_c)));
  }
}

template <class T>
using Step = void (*)(T*, const T*, int64_t, const T*, int64_t, const T*, int64_t, int64_t);

template <class T>
constexpr CodeTable<Step<T>> steps = code_table<Step<T>>([]<Code code>() -> Step<T> {
  return step<T, code>;
});

/// A running program: maps registers to memory and runs steps.
template <class T>
class Run {
 public:
  Run(const ScoreProgram& program, const ScoreMemory<T>& memory, T* value, T* upstream)
      : p_(program), m_(memory), value_(value), upstream_(upstream) {}

  T* at(uint16_t reg) const {
    if (reg == p_.value && value_ != nullptr) return value_;
    if (reg == p_.upstream && upstream_ != nullptr) return upstream_;
    return p_.is_wide[reg] ? m_.wide + p_.slot[reg] * m_.row : m_.narrow + p_.slot[reg] * lanes<T>;
  }
  bool is_wide(uint16_t reg) const { return p_.is_wide[reg] != 0; }
  T narrow(uint16_t reg) const { return *at(reg); }

  void set(uint16_t reg, int64_t number) const {
    if (reg != no_register) store(at(reg), Vec<T>(static_cast<T>(number)));
  }

  /// Runs steps for the columns [begin, end). Steps into narrow registers run once.
  void run(int first, int last, int64_t key, int64_t begin, int64_t end) const {
    for (int i = first; i < last; ++i) {
      const ScoreStep& s = p_.steps[i];
      if (s.access >= 0) {
        load_access(p_.accesses[s.access], s.out, key, begin, end);
        continue;
      }
      const bool wide = is_wide(s.out);
      const int64_t from = wide ? begin : 0;
      const auto pointer = [&](uint16_t reg) { return at(reg) + (is_wide(reg) ? from : 0); };
      steps<T>.of[static_cast<int>(s.code)](at(s.out) + from, pointer(s.a), is_wide(s.a) ? 1 : 0,
                                            pointer(s.b), is_wide(s.b) ? 1 : 0, pointer(s.c),
                                            is_wide(s.c) ? 1 : 0, wide ? end - begin : lanes<T>);
    }
  }

  /// Adds a row of gradients to the sums of the elements that the access read.
  void add_gradient(const ScoreAccess& x, int64_t key, const T* weights, int64_t begin,
                    int64_t end) const {
    const T* g = at(x.gradient);
    const Vec<T> zero(T(0));
    T* sums = m_.sums + x.sums;
    if (x.kind == ScoreAccess::splat) {
      Vec<T> total = zero;
      for (int64_t j = begin; j < end; j += lanes<T>) {
        total += xsimd::select(load(weights + j) == zero, zero, load(g + j));
      }
      sums[fixed_offset(x, x.sums_stride)] += sum_lanes(total);
      return;
    }
    for_each_part(x, x.sums_stride, key, begin, end,
                  [&](int64_t from, int64_t to, int64_t offset, int64_t step) {
                    T* out = sums + offset;
                    if (step == 1) {
                      for (int64_t j = from; j < to; ++j) {
                        out[j - from] += weights[j] == T(0) ? T(0) : g[j];
                      }
                      return;
                    }
                    for (int64_t j = from; j < to; ++j) {
                      out[(j - from) * step] += weights[j] == T(0) ? T(0) : g[j];
                    }
                  });
    if (x.kind != ScoreAccess::gather) return;
    const int32_t* offsets = gather_offsets(x, x.sums_stride, begin, end);
    for (int64_t j = begin; j < end; ++j) {
      if (weights[j] != T(0)) sums[offsets[j]] += g[j];
    }
  }

 private:
  static int64_t nearest(T x, int64_t size) {
    if (!(x > T(0))) return 0;  // also for NaN
    const T last = static_cast<T>(size - 1);
    return static_cast<int64_t>((x < last ? x : last) + T(0.5));
  }

  /// Returns the offset that all axes except the key axis contribute.
  int64_t fixed_offset(const ScoreAccess& x, const int64_t* stride) const {
    int64_t offset = 0;
    for (int axis = 0; axis < x.axes; ++axis) {
      if (axis == x.key_axis) continue;
      offset += nearest(narrow(x.index[axis]), x.size[axis]) * stride[axis];
    }
    return offset;
  }

  /// Splits the columns of a row access. The index at column j is first + sign * j, clamped to
  /// [low, high]. Calls part(from, to, offset, step) for the part clamped at one end, the moving
  /// part and the part clamped at the other end.
  template <class Part>
  void for_each_part(const ScoreAccess& x, const int64_t* stride, int64_t key, int64_t begin,
                     int64_t end, const Part& part) const {
    if (x.kind != ScoreAccess::row) return;
    const int axis = x.key_axis;
    const int64_t last = x.size[axis] - 1;
    int64_t low = 0, high = last;
    if (x.low != no_register) low = nearest(narrow(x.low), x.size[axis]);
    // Equivalent to min(max(x, low), high): if low is above high, the result is high.
    if (x.high != no_register) high = nearest(narrow(x.high), x.size[axis]);
    if (low > high) low = high;
    // The index at column 0.
    const int64_t first =
        (x.index[axis] == no_register ? 0 : base(narrow(x.index[axis]))) + x.sign * key;
    const int64_t offset = fixed_offset(x, stride);
    // Columns whose index is not clamped.
    int64_t from = x.sign > 0 ? low - first : first - high;
    int64_t to = (x.sign > 0 ? high - first : first - low) + 1;
    from = from < begin ? begin : from > end ? end : from;
    to = to < from ? from : to > end ? end : to;
    if (begin < from) part(begin, from, offset + (x.sign > 0 ? low : high) * stride[axis], 0);
    if (from < to) {
      part(from, to, offset + (first + x.sign * from) * stride[axis], x.sign * stride[axis]);
    }
    if (to < end) part(to, end, offset + (x.sign > 0 ? high : low) * stride[axis], 0);
  }

  /// Rounds to an integer. Very large values and NaN are cut to 2^30 in magnitude, which is beyond
  /// every axis.
  static int64_t base(T x) {
    constexpr T most = T(1 << 30);
    const T cut = x > most ? most : x > -most ? x : -most;
    return static_cast<int64_t>(cut < T(0) ? cut - T(0.5) : cut + T(0.5));
  }

  const int32_t* gather_offsets(const ScoreAccess& x, const int64_t* stride, int64_t begin,
                                int64_t end) const {
    int32_t* out = m_.offsets;
    for (int64_t j = begin; j < end; ++j) out[j] = 0;
    for (int axis = 0; axis < x.axes; ++axis) {
      const T* index = at(x.index[axis]);
      const auto last = static_cast<T>(x.size[axis] - 1);
      const auto by = static_cast<int32_t>(stride[axis]);
      if (!is_wide(x.index[axis])) {
        const auto fixed = static_cast<int32_t>(nearest(*index, x.size[axis])) * by;
        for (int64_t j = begin; j < end; ++j) out[j] += fixed;
        continue;
      }
      for (int64_t j = begin; j < end; ++j) {
        const T low = index[j] > T(0) ? index[j] : T(0);
        out[j] += static_cast<int32_t>((low < last ? low : last) + T(0.5)) * by;
      }
    }
    return out;
  }

  void load_access(const ScoreAccess& x, uint16_t reg, int64_t key, int64_t begin,
                   int64_t end) const {
    const T* data = static_cast<const T*>(x.data);
    T* out = at(reg);
    if (x.kind == ScoreAccess::splat) {
      store(out, Vec<T>(data[fixed_offset(x, x.stride)]));
      return;
    }
    for_each_part(x, x.stride, key, begin, end,
                  [&](int64_t from, int64_t to, int64_t offset, int64_t step) {
                    const T* source = data + offset;
                    if (step == 1) {
                      for (int64_t j = from; j < to; ++j) out[j] = source[j - from];
                      return;
                    }
                    for (int64_t j = from; j < to; ++j) out[j] = source[(j - from) * step];
                  });
    if (x.kind != ScoreAccess::gather) return;
    const int32_t* offsets = gather_offsets(x, x.stride, begin, end);
    for (int64_t j = begin; j < end; ++j) out[j] = data[offsets[j]];
  }

  const ScoreProgram& p_;
  const ScoreMemory<T>& m_;
  T* value_;
  T* upstream_;
};

}  // namespace

template <class T>
void begin_score_tile(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t b, int64_t h,
                      int64_t key, int64_t begin, int64_t end) {
  const Run<T> run(p, m, nullptr, nullptr);
  run.set(p.batch, b);
  run.set(p.head, h);
  if (p.key != no_register) {
    T* keys = run.at(p.key);
    for (int64_t j = begin; j < end; ++j) keys[j] = static_cast<T>(key + j);
  }
  run.run(0, p.keys_end, key, begin, end);
}

template <class T>
void run_score_row(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t query, int64_t key,
                   T* row, int64_t begin, int64_t end) {
  T* value = row;
  if (p.keeps_value) {
    value = m.wide + p.slot[p.value] * m.row;
    for (int64_t j = begin; j < end; j += lanes<T>) store(value + j, load(row + j));
  }
  const Run<T> run(p, m, value, nullptr);
  run.set(p.query_number, query);
  run.set(p.query, query + p.query_shift);
  run.run(p.keys_end, p.forward_end, key, begin, end);
  const T* out = run.at(p.out);
  const bool wide = run.is_wide(p.out);
  for (int64_t j = begin; j < end; j += lanes<T>) {
    store(row + j, load(out + (wide ? j : 0)));
  }
}

template <class T>
void run_score_gradient(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t key,
                        const T* weights, T* grads, int64_t begin, int64_t end) {
  const Run<T> run(p, m, nullptr, grads);
  run.run(p.forward_end, p.count, key, begin, end);
  for (int i = 0; i < p.access_count; ++i) {
    const ScoreAccess& x = p.accesses[i];
    if (x.gradient != no_register && m.sums != nullptr) {
      run.add_gradient(x, key, weights, begin, end);
    }
  }
  const T* passed = run.at(p.value_gradient);
  const bool wide = run.is_wide(p.value_gradient);
  const Vec<T> zero(T(0));
  for (int64_t j = begin; j < end; j += lanes<T>) {
    store(grads + j, xsimd::select(load(weights + j) == zero, zero, load(passed + (wide ? j : 0))));
  }
}

template void begin_score_tile(const ScoreProgram&, const ScoreMemory<float>&, int64_t, int64_t,
                               int64_t, int64_t, int64_t);
template void begin_score_tile(const ScoreProgram&, const ScoreMemory<double>&, int64_t, int64_t,
                               int64_t, int64_t, int64_t);
template void run_score_row(const ScoreProgram&, const ScoreMemory<float>&, int64_t, int64_t,
                            float*, int64_t, int64_t);
template void run_score_row(const ScoreProgram&, const ScoreMemory<double>&, int64_t, int64_t,
                            double*, int64_t, int64_t);
template void run_score_gradient(const ScoreProgram&, const ScoreMemory<float>&, int64_t,
                                 const float*, float*, int64_t, int64_t);
template void run_score_gradient(const ScoreProgram&, const ScoreMemory<double>&, int64_t,
                                 const double*, double*, int64_t, int64_t);

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
