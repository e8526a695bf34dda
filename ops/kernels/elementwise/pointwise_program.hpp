// Pointwise programs: the single mechanism for all elementwise work.
//
// A program is a short list of instructions over virtual registers. A register holds one block of
// the iteration space. Blocks are small enough that all registers of a program fit in the L1 cache.
// All registers have one arithmetic type, float or double. Operands of other types are converted
// when they are loaded and stored. Masks become 1 and 0. int32 is exact up to 2^24 in float; use
// the double table beyond that.
//
// A register that represents an int32 array must hold integers in the range of int32, and never -0.
// Otherwise later results would depend on whether the array went through memory. The codes that end
// in _int32 obey this rule.
#pragma once

#include <cstdint>

namespace rapt::kernels {

/// The operation of an instruction on registers a, b and c, as far as its formula names them.
///
/// NaN behaves as in NumPy: minimum, maximum, clamp and relu propagate it, and comparisons with it
/// are false (not_equal: true). Comparisons and logic return 1 or 0 and treat every nonzero value
/// as true.
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
  gelu,  // x Phi(x), the exact (error function) form
  silu,
  softplus,
  square,
  reciprocal,
  sign,
  floor,
  ceil,
  wrap_int32,    // an integer below 2^52, modulo 2^32
  mul_int32,     // modulo 2^32
  div_int32,     // rounds towards 0; a / 0 is 0, and -2^31 / -1 is -2^31
  pow_int32,     // modulo 2^32; b < 0 rounds the fraction towards 0, and 0^b is 0
  to_int32,      // rounds towards 0; saturates beyond int32; NaN gives 0
  narrow,        // rounds to the nearest float32
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
  silu_grad,           // a = x, b = upstream gradient
  softplus_grad,       // a = x: b * sigmoid(x)
  sigmoid_grad,        // a = y = sigmoid(x): b * y * (1 - y)
  tanh_grad,           // a = y = tanh(x): b * (1 - y * y)
  logistic_loss,       // a = x, b = t: b softplus(-a) + (1 - b) softplus(a)
  logistic_loss_grad,  // a = x, b = t, c = upstream gradient: c ((1 - b) sigmoid(a) - b
                       // sigmoid(-a))
  dropout,             // a = x; field b is not a register but the index of the dropout parameters
};
inline constexpr int code_count = static_cast<int>(Code::dropout) + 1;

/// One instruction. Unused fields are 0.
struct Instruction {
  Code code;
  uint16_t out, a, b, c;
};

inline constexpr int max_dims = 8;
inline constexpr int max_registers = 512;
inline constexpr int max_inputs = 256;
inline constexpr int max_outputs = 64;

enum class ElementType : uint8_t { f32, f64, i32, b8 };

/// The points that a program runs over, in row-major order. Point i has the coordinates of element
/// i of a contiguous array of this shape. 1 <= dims <= max_dims.
struct PointwiseSpace {
  int dims;
  int64_t shape[max_dims];
};

/// An array viewed over a space. Strides count elements; 0 broadcasts. All strides 0: a scalar.
struct PointwiseOperand {
  ElementType type;
  int64_t strides[max_dims];
  uint16_t reg;  // loaded before the first instruction, or stored after the last
};

/// A program and its space. Plain data owned by the caller; everything it points to must outlive a
/// run.
///
/// The limits are max_registers, max_inputs and max_outputs. Every register must be an input or be
/// written before it is read. Instructions may reuse registers. An input whose register no
/// instruction writes needs no copy. A program without instructions converts or copies. Outputs
/// have no stride of 0 along axes longer than 1.
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

/// Parameters of inverted dropout. Element i is kept if random_bits(key0, key1, i) is at least
/// dropout_threshold(p), where i is the number of its point. Kept elements are multiplied by 1 / (1
/// - p).
struct DropoutParameters {
  uint64_t key0, key1;
  double p;
};

/// The arguments that change from run to run. An output may alias an input exactly: same start,
/// type size and strides. Any other overlap is not allowed.
struct PointwiseArguments {
  const void* const* inputs;
  void* const* outputs;
  const DropoutParameters* dropout;
};

}  // namespace rapt::kernels
