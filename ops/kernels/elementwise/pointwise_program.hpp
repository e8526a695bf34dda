// Pointwise programs: the one mechanism for all elementwise work.
//
// A program is a short list of instructions over virtual registers. A register holds one block of
// the iteration space, small enough that all registers of a program fit in the L1 cache, in one
// arithmetic type, float or double. Operands of other types are converted when they are loaded and
// stored: masks are 1 and 0, int32 is exact up to 2^24 in float (use the double table beyond).
//
// A register that stands for an int32 array has to hold whole numbers of int32's range, never -0:
// else what comes after it would depend on whether the array went through memory. The codes that
// end in _int32 keep to that.
#pragma once

#include <cstdint>

namespace rapt::kernels {

/// What an instruction computes from registers a, b, c (those that its formula names).
///
/// NaN as in NumPy: minimum, maximum, clamp and relu hand it on, comparisons with it are false
/// (not_equal: true). Comparisons and logic give 1 or 0, and take what is not 0 for true.
enum class Code : uint8_t {
  copy,
  add,
  sub,
  mul,
  div,
  pow,
  minimum,
  maximum,
  neg,
  abs,
  exp,
  exp2,
  expm1,
  log,
  log1p,
  sqrt,
  rsqrt,
  sin,
  cos,
  tanh,
  erf,
  sigmoid,
  relu,
  gelu,  // x Phi(x), the form with the error function
  silu,
  softplus,
  square,
  reciprocal,
  sign,
  floor,
  ceil,
  wrap_int32,    // a whole number below 2^52, modulo 2^32
  mul_int32,     // modulo 2^32
  div_int32,     // towards 0; a / 0 is 0, and -2^31 / -1 is -2^31
  pow_int32,     // modulo 2^32; for b < 0 the fraction towards 0, and 0^b is 0
  to_int32,      // towards 0; beyond int32's range its nearest number, of NaN 0
  narrow,        // to the nearest float32
  multiply_add,  // a * b + c
  where,         // a != 0 ? b : c
  clamp,         // min(max(a, b), c)
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  logical_and,
  logical_or,
  logical_not,
  relu_grad,           // a = x, b = upstream gradient: x > 0 ? b : 0
  gelu_grad,           // a = x: b * (Phi(x) + x phi(x))
  silu_grad,           // a = x
  softplus_grad,       // a = x: b * sigmoid(x)
  sigmoid_grad,        // a = y = sigmoid(x): b * y * (1 - y)
  tanh_grad,           // a = y = tanh(x): b * (1 - y * y)
  logistic_loss,       // a = x, b = t: b softplus(-a) + (1 - b) softplus(a)
  logistic_loss_grad,  // by a, c upstream: c ((1 - b) sigmoid(a) - b sigmoid(-a))
  dropout,             // a = x; the field b is no register: it numbers the run's dropout parameters
};
inline constexpr int code_count = static_cast<int>(Code::dropout) + 1;

/// One instruction. Fields that the code does not use are 0.
struct Instruction {
  Code code;
  uint16_t out, a, b, c;
};

inline constexpr int max_dims = 8;
inline constexpr int max_registers = 512;
inline constexpr int max_inputs = 256;
inline constexpr int max_outputs = 64;

enum class ElementType : uint8_t { f32, f64, i32, b8 };

/// The points that a program is run for, row-major: point number i has the coordinates of element
/// i of a contiguous array of this shape. 1 <= dims <= max_dims.
struct PointwiseSpace {
  int dims;
  int64_t shape[max_dims];
};

/// An array seen over a space: steps in elements, 0 where it is broadcast. All 0: a scalar.
struct PointwiseOperand {
  ElementType type;
  int64_t strides[max_dims];
  uint16_t reg;  // loaded into it before the first instruction, or stored from it after the last
};

/// A program over its space. Plain data that the caller owns; all it points to must outlive a run.
///
/// At most max_registers, max_inputs, max_outputs; every register an input or written before it is
/// read. Instructions may reuse registers; an input whose register no instruction writes needs no
/// copy. With no instruction at all the program converts or copies. Outputs have no stride of 0
/// where the shape is above 1.
struct PointwiseProgram {
  const Instruction* code;
  int count;
  int registers;
  const PointwiseOperand* inputs;
  int input_count;
  const PointwiseOperand* outputs;
  int output_count;
  PointwiseSpace space;
};

/// Inverted dropout: element i is kept where random_bits(key0, key1, i) reaches
/// dropout_threshold(p), i the number of its point, and multiplied by 1 / (1 - p).
struct DropoutParameters {
  uint64_t key0, key1;
  double p;
};

/// What changes from run to run. An output may be the very array (same start, type size and
/// strides) that is an input; overlap of any other kind is not allowed.
struct PointwiseArguments {
  const void* const* inputs;
  void* const* outputs;
  const DropoutParameters* dropout;
};

}  // namespace rapt::kernels
