// Interpreter of pointwise programs.
//
// The iteration space is processed in blocks of up to 512 elements, sized so that all registers of
// the program fit into half of L1. Per block it loads and converts the inputs, runs each
// instruction as one vectorised loop over the block, and stores the outputs. The cost of
// interpreting an instruction is thus spread over a block. If an input or output is contiguous and
// of the arithmetic type, its memory serves as the register, which saves the copy. Long rows end
// their block at the row's end so that this also works for broadcast operands. Other operands are
// gathered. reference.hpp has the formula of each instruction.
#include "ops/kernels/elementwise/pointwise.hpp"

#include "ops/kernels/elementwise/pointwise_apply.hpp"
#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/random.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

// Size limit of all registers of a program together: half of a small L1 cache.
constexpr int64_t register_bytes = 16 * 1024;
constexpr int64_t max_block = 512;
// Length of the longest vector in bytes. Blocks are multiples of it, for elements of any type.
constexpr int64_t min_block_bytes = 64;
constexpr int64_t scratch_bytes = max_registers * min_block_bytes;
static_assert(scratch_bytes >= register_bytes);
// Rows shorter than this share blocks. Operands that are not contiguous across rows are then
// gathered.
constexpr int64_t min_row = 128;

/// Runs one instruction over a block. n is a multiple of the number of lanes. `out` may alias a, b
/// or c.
template <class T, Code code>
void step(T* out, const T* a, const T* b, const T* c, int64_t n) {
  for (int64_t i = 0; i < n; i += lanes<T>) {
    store(out + i, apply<T, code>(load(a + i), load(b + i), load(c + i)));
  }
}

template <class T>
using Step = void (*)(T*, const T*, const T*, const T*, int64_t);

template <class T>
constexpr CodeTable<Step<T>> steps = code_table<Step<T>>([]<Code code>() -> Step<T> {
  return step<T, code>;
});

template <class T>
void dropout(T* out, const T* x, int64_t n, const DropoutParameters& parameters, int64_t first) {
  constexpr int64_t chunk = 64;
  alignas(64) uint32_t bits[chunk];
  alignas(64) T factor[chunk];
  const uint64_t threshold = dropout_threshold(parameters.p);
  const T scale = T(1.0 / (1.0 - parameters.p));
  for (int64_t i = 0; i < n; i += chunk) {
    const int64_t m = smaller(n - i, chunk);
    fill_random_bits(bits, m, parameters.key0, parameters.key1, static_cast<uint64_t>(first + i));
    if (threshold > 0xffffffffu) {
      for (int64_t k = 0; k < m; ++k) factor[k] = T(0);
    } else {
      const auto limit = static_cast<uint32_t>(threshold);
      for (int64_t k = 0; k < m; ++k) factor[k] = bits[k] >= limit ? scale : T(0);
    }
    for (int64_t k = 0; k < m; k += lanes<T>) {
      // Use a select, because 0 * inf would not be 0.
      const Vec<T> f = load(factor + k);
      const Vec<T> zero(0);
      store(out + i + k, xsimd::select(f == zero, zero, load(x + i + k) * f));
    }
  }
}

template <class T>
constexpr ElementType own_type = sizeof(T) == 4 ? ElementType::f32 : ElementType::f64;

template <class T, class S>
inline T converted(S v) {
  if constexpr (std::is_same_v<S, uint8_t>) {
    return v != 0 ? T(1) : T(0);
  } else if constexpr (std::is_same_v<T, uint8_t>) {
    return v != S(0) ? uint8_t{1} : uint8_t{0};
  } else {
    return static_cast<T>(v);
  }
}

/// Copies and converts between a register (T, contiguous) and an array of S.
template <class T, class S>
void load_run(T* to, const void* data, int64_t offset, int64_t stride, int64_t n) {
  const S* from = static_cast<const S*>(data) + offset;
  if (stride == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = converted<T>(from[i]);
  } else if (stride == 0) {
    const T value = converted<T>(*from);
    for (int64_t i = 0; i < n; ++i) to[i] = value;
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = converted<T>(from[i * stride]);
  }
}

template <class T, class S>
void store_run(const T* from, void* data, int64_t offset, int64_t stride, int64_t n) {
  S* to = static_cast<S*>(data) + offset;
  if (stride == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = converted<S>(from[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * stride] = converted<S>(from[i]);
  }
}

template <class T>
void load_run(ElementType type, T* to, const void* data, int64_t offset, int64_t stride,
              int64_t n) {
  switch (type) {
    case ElementType::f32:
      return load_run<T, float>(to, data, offset, stride, n);
    case ElementType::f64:
      return load_run<T, double>(to, data, offset, stride, n);
    case ElementType::i32:
      return load_run<T, int32_t>(to, data, offset, stride, n);
    case ElementType::b8:
      return load_run<T, uint8_t>(to, data, offset, stride, n);
  }
}

template <class T>
void store_run(ElementType type, const T* from, void* data, int64_t offset, int64_t stride,
               int64_t n) {
  switch (type) {
    case ElementType::f32:
      return store_run<T, float>(from, data, offset, stride, n);
    case ElementType::f64:
      return store_run<T, double>(from, data, offset, stride, n);
    case ElementType::i32:
      return store_run<T, int32_t>(from, data, offset, stride, n);
    case ElementType::b8:
      return store_run<T, uint8_t>(from, data, offset, stride, n);
  }
}

/// The coordinates of a point.
struct Position {
  int64_t at[max_dims];
};

inline Position locate(const PointwiseSpace& space, int64_t point) {
  Position p;
  for (int d = space.dims - 1; d > 0; --d) {
    p.at[d] = point % space.shape[d];
    point /= space.shape[d];
  }
  p.at[0] = point;
  return p;
}

inline int64_t offset_of(const PointwiseOperand& operand, const Position& p, int dims) {
  int64_t offset = 0;
  for (int d = 0; d < dims; ++d) offset += p.at[d] * operand.strides[d];
  return offset;
}

/// Calls f(offset, done, run) for each part of a row that points p .. p + n - 1 cover.
template <class F>
inline void for_runs(const PointwiseSpace& space, const PointwiseOperand& operand, Position p,
                     int64_t n, F f) {
  const int inner = space.dims - 1;
  int64_t offset = offset_of(operand, p, space.dims);
  for (int64_t done = 0;;) {
    const int64_t left = space.shape[inner] - p.at[inner];
    const int64_t run = smaller(left, n - done);
    f(offset, done, run);
    done += run;
    if (done == n) return;
    offset -= p.at[inner] * operand.strides[inner];
    p.at[inner] = 0;
    for (int d = inner - 1; d >= 0; --d) {
      offset += operand.strides[d];
      if (++p.at[d] < space.shape[d]) break;
      offset -= p.at[d] * operand.strides[d];
      p.at[d] = 0;
    }
  }
}

enum class Access : uint8_t {
  scalar,  // one value; the register is filled once
  even,    // contiguous: point i is element i
  row,     // contiguous within a row
  walk,    // anything else; gathered
};

inline Access access(const PointwiseSpace& space, const PointwiseOperand& operand) {
  bool scalar = true;
  bool even = true;
  int64_t size = 1;
  for (int d = space.dims - 1; d >= 0; --d) {
    const int64_t stride = operand.strides[d];
    scalar = scalar && (stride == 0 || space.shape[d] == 1);
    even = even && (stride == size || space.shape[d] == 1);
    size *= space.shape[d];
  }
  if (even) return Access::even;
  if (scalar) return Access::scalar;
  return operand.strides[space.dims - 1] == 1 ? Access::row : Access::walk;
}

template <class T>
class Run {
 public:
  Run(const PointwiseProgram& program, const PointwiseArguments& arguments, T* scratch)
      : program_(program), arguments_(arguments), scratch_(scratch) {}

  void operator()(int64_t begin, int64_t end) {
    if (begin >= end) return;
    constexpr int64_t quantum = min_block_bytes / static_cast<int64_t>(sizeof(T));
    const int64_t registers = program_.registers > 0 ? program_.registers : 1;
    int64_t block = register_bytes / (registers * min_block_bytes) * quantum;
    block = block < quantum ? quantum : block > max_block ? max_block : block;
    const int64_t whole = round_up(end - begin, quantum);
    if (block > whole) block = whole;
    for (int r = 0; r < program_.registers; ++r) own_[r] = scratch_ + r * block;
    for (int r = 0; r < program_.registers; ++r) reg_[r] = own_[r];

    const bool long_run = end - begin > quantum;  // may need several blocks
    prepare(long_run, block);
    const int64_t row = program_.space.shape[program_.space.dims - 1];
    const bool by_rows = long_run && program_.space.dims > 1 &&
                         (row >= 8 * min_row || (row >= min_row && row % lanes<T> == 0));
    for (int64_t point = begin; point < end;) {
      const Position p = locate(program_.space, point);
      int64_t n = smaller(end - point, block);
      if (by_rows) {
        const int64_t left = row - p.at[program_.space.dims - 1];
        n = n < left ? n : left;
      }
      run_block(p, point, n, by_rows);
      point += n;
    }
  }

 private:
  // Decides how inputs are read and outputs written. Short runs never use operands as registers, so
  // that small programs need no analysis.
  void prepare(bool long_run, int64_t block) {
    const PointwiseProgram& g = program_;
    for (int i = 0; i < g.input_count; ++i) {
      input_[i] = {access(g.space, g.inputs[i]), false};
      if (input_[i].access == Access::scalar) {
        load_run(g.inputs[i].type, reg_[g.inputs[i].reg], arguments_.inputs[i], 0, 0, block);
      }
    }
    for (int o = 0; o < g.output_count; ++o) {
      output_[o] = {access(g.space, g.outputs[o]), false};
    }
    if (!long_run) return;
    // A scalar whose register is overwritten must be reloaded for every block.
    uint8_t writes[max_registers] = {};
    for (int k = 0; k < g.count; ++k) writes[g.code[k].out] |= 1;
    for (int i = 0; i < g.input_count; ++i) {
      const PointwiseOperand& operand = g.inputs[i];
      if (writes[operand.reg]) {
        if (input_[i].access == Access::scalar) input_[i].access = Access::walk;
      } else {
        input_[i].direct = operand.type == own_type<T> && input_[i].access != Access::walk &&
                           input_[i].access != Access::scalar;
      }
    }
    for (int o = 0; o < g.output_count; ++o) output_[o].direct = can_write_directly(o);
  }

  // True if an output's memory can serve as its register. Exactly one instruction must write the
  // register. No later instruction may read an input that is the same array.
  bool can_write_directly(int o) const {
    const PointwiseProgram& g = program_;
    const PointwiseOperand& output = g.outputs[o];
    if (output.type != own_type<T> || output_[o].access == Access::walk ||
        output_[o].access == Access::scalar) {
      return false;
    }
    int writer = -1;
    for (int k = 0; k < g.count; ++k) {
      if (g.code[k].out != output.reg) continue;
      if (writer >= 0) return false;
      writer = k;
    }
    if (writer < 0) return false;
    for (int other = 0; other < o; ++other) {
      if (g.outputs[other].reg == output.reg) return false;
    }
    for (int i = 0; i < g.input_count; ++i) {
      if (g.inputs[i].reg == output.reg) return false;
      if (arguments_.inputs[i] != arguments_.outputs[o] || !input_[i].direct) continue;
      for (int k = writer + 1; k < g.count; ++k) {
        const Instruction& x = g.code[k];
        if (x.a == g.inputs[i].reg || x.b == g.inputs[i].reg || x.c == g.inputs[i].reg) {
          return false;
        }
      }
      for (int other = 0; other < g.output_count; ++other) {
        if (g.outputs[other].reg == g.inputs[i].reg) return false;
      }
    }
    return true;
  }

  void run_block(const Position& p, int64_t point, int64_t n, bool by_rows) {
    const PointwiseProgram& g = program_;
    const int64_t padded = round_up(n, lanes<T>);
    const bool whole = padded == n;
    for (int i = 0; i < g.input_count; ++i) {
      const Use use = input_[i];
      if (use.access == Access::scalar) continue;
      const PointwiseOperand& operand = g.inputs[i];
      const void* data = arguments_.inputs[i];
      T*& reg = reg_[operand.reg];
      if (whole && use.direct && (use.access == Access::even || by_rows)) {
        // Registers that alias inputs are only read.
        reg = const_cast<T*>(static_cast<const T*>(data)) + element(use, operand, p, point);
        continue;
      }
      reg = own_[operand.reg];
      if (use.access == Access::even) {
        load_run(operand.type, reg, data, point, 1, n);
      } else {
        for_runs(g.space, operand, p, n, [&](int64_t offset, int64_t done, int64_t run) {
          load_run(operand.type, reg + done, data, offset, operand.strides[g.space.dims - 1], run);
        });
      }
      for (int64_t k = n; k < padded; ++k) reg[k] = T(0);
    }
    for (int o = 0; o < g.output_count; ++o) {
      if (!output_[o].direct) continue;
      const PointwiseOperand& operand = g.outputs[o];
      const bool here = whole && (output_[o].access == Access::even || by_rows);
      reg_[operand.reg] =
          here ? static_cast<T*>(arguments_.outputs[o]) + element(output_[o], operand, p, point)
               : own_[operand.reg];
    }
    for (int k = 0; k < g.count; ++k) {
      const Instruction& x = g.code[k];
      if (x.code == Code::dropout) {
        dropout(reg_[x.out], reg_[x.a], padded, arguments_.dropout[x.b], point);
      } else {
        steps<T>.of[static_cast<int>(x.code)](reg_[x.out], reg_[x.a], reg_[x.b], reg_[x.c], padded);
      }
    }
    for (int o = 0; o < g.output_count; ++o) {
      const PointwiseOperand& operand = g.outputs[o];
      const Use use = output_[o];
      if (use.direct && whole && (use.access == Access::even || by_rows)) continue;
      const T* reg = reg_[operand.reg];
      if (use.access == Access::even) {
        store_run(operand.type, reg, arguments_.outputs[o], point, 1, n);
      } else {
        for_runs(g.space, operand, p, n, [&](int64_t offset, int64_t done, int64_t run) {
          store_run(operand.type, reg + done, arguments_.outputs[o], offset,
                    operand.strides[g.space.dims - 1], run);
        });
      }
    }
  }

  struct Use {
    Access access;
    bool direct;  // true if the operand's memory may serve as the register
  };

  int64_t element(const Use& use, const PointwiseOperand& operand, const Position& p,
                  int64_t point) const {
    return use.access == Access::even ? point : offset_of(operand, p, program_.space.dims);
  }

  const PointwiseProgram& program_;
  const PointwiseArguments& arguments_;
  T* scratch_;
  T* own_[max_registers];
  T* reg_[max_registers];
  Use input_[max_inputs];
  Use output_[max_outputs];
};

template <class T>
void run(const PointwiseProgram& program, const PointwiseArguments& arguments, int64_t begin,
         int64_t end) {
  alignas(64) T scratch[scratch_bytes / static_cast<int64_t>(sizeof(T))];
  Run<T>(program, arguments, scratch)(begin, end);
}

void collapse(PointwiseSpace& space, PointwiseOperand* inputs, int input_count,
              PointwiseOperand* outputs, int output_count) {
  const auto operand = [&](int i) -> PointwiseOperand& {
    return i < input_count ? inputs[i] : outputs[i - input_count];
  };
  const int operands = input_count + output_count;
  int kept = 0;  // axes 0 .. kept - 1 are final, except that the last may grow by merging
  for (int d = 0; d < space.dims; ++d) {
    if (space.shape[d] == 1) continue;
    bool merge = kept > 0;
    for (int i = 0; i < operands && merge; ++i) {
      const int64_t* strides = operand(i).strides;
      merge = strides[kept - 1] == strides[d] * space.shape[d];
    }
    const int to = merge ? kept - 1 : kept;
    space.shape[to] = merge ? space.shape[to] * space.shape[d] : space.shape[d];
    for (int i = 0; i < operands; ++i) operand(i).strides[to] = operand(i).strides[d];
    kept = to + 1;
  }
  if (kept == 0) {
    kept = 1;
    space.shape[0] = 1;
    for (int i = 0; i < operands; ++i) operand(i).strides[0] = 1;
  }
  space.dims = kept;
}

}  // namespace

extern const PointwiseKernels table_PointwiseKernels;
const PointwiseKernels table_PointwiseKernels = {run<float>, run<double>, collapse};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
