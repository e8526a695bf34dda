// Elementwise operators. Operands broadcast as in NumPy. A plain number takes the type of the other
// operand. Chains of elementwise operators run as one pass over memory.
//
// int32 results are modulo 2^32 after each operator (two's complement), as in PyTorch. They depend
// neither on which operators are fused nor on which intermediate results are read.
//
// All functions throw Error if shapes do not broadcast or element types differ.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

Var add(const Arg& a, const Arg& b);
Var sub(const Arg& a, const Arg& b);
Var mul(const Arg& a, const Arg& b);
/// Divides a by b. For int32 the quotient is rounded towards 0, x / 0 is 0 (as for ARM's sdiv), and
/// -2^31 / -1 is -2^31.
Var div(const Arg& a, const Arg& b);
/// Returns a to the power of b. The gradient of b is 0 where a is not above 0. The gradient of a is
/// 0 where b is 0. For int32, a negative power is the fraction rounded towards 0, and 0 to a
/// negative power is 0.
Var pow(const Arg& a, const Arg& b);
/// Returns the smaller of a and b, or NaN if either is NaN. If both are equal, each gets half of
/// the gradient. maximum() is the counterpart.
Var minimum(const Arg& a, const Arg& b);
Var maximum(const Arg& a, const Arg& b);

Var neg(const Arg& x);
Var abs(const Arg& x);
Var exp(const Arg& x);
Var expm1(const Arg& x);
Var log(const Arg& x);
Var log1p(const Arg& x);
Var sqrt(const Arg& x);
/// Returns 1 / sqrt(x).
Var rsqrt(const Arg& x);
Var reciprocal(const Arg& x);
Var square(const Arg& x);
Var sin(const Arg& x);
Var cos(const Arg& x);
Var tanh(const Arg& x);
Var erf(const Arg& x);
/// Returns 1 / (1 + exp(-x)).
Var sigmoid(const Arg& x);
/// Returns max(x, 0).
Var relu(const Arg& x);
/// Returns x Phi(x), where Phi is the cumulative normal distribution. This is the exact form
/// (Hendrycks and Gimpel 2016).
Var gelu(const Arg& x);
/// Returns x sigmoid(x) (Elfwing et al. 2018).
Var silu(const Arg& x);
/// Returns log(1 + exp(x)).
Var softplus(const Arg& x);
/// Returns -1, 0 or 1. No gradient passes through sign, floor and ceil.
Var sign(const Arg& x);
Var floor(const Arg& x);
Var ceil(const Arg& x);

/// Comparisons return a boolean array. The names are PyTorch's: `less` would be ambiguous beside
/// `using namespace std`.
Var eq(const Arg& a, const Arg& b);
Var ne(const Arg& a, const Arg& b);
Var lt(const Arg& a, const Arg& b);
Var le(const Arg& a, const Arg& b);
Var gt(const Arg& a, const Arg& b);
Var ge(const Arg& a, const Arg& b);
/// NumPy's names of eq() and ne().
inline Var equal(const Arg& a, const Arg& b) { return eq(a, b); }
inline Var not_equal(const Arg& a, const Arg& b) { return ne(a, b); }
/// Logical operators take boolean arrays.
Var logical_and(const Arg& a, const Arg& b);
Var logical_or(const Arg& a, const Arg& b);
Var logical_not(const Arg& x);

/// Returns a where the boolean `condition` is true, and b elsewhere.
Var where(const Arg& condition, const Arg& a, const Arg& b);
/// Limits x to [low, high]. The gradient passes where low <= x <= high.
Var clamp(const Arg& x, const Arg& low, const Arg& high);
/// Converts x to another element type. The gradient passes between float types. Conversion to int32
/// rounds towards 0. Values beyond the range of int32 become its nearest end, and NaN becomes 0.
Var cast(const Arg& x, DType dtype);

inline Var operator+(const Arg& a, const Arg& b) { return add(a, b); }
inline Var operator-(const Arg& a, const Arg& b) { return sub(a, b); }
inline Var operator*(const Arg& a, const Arg& b) { return mul(a, b); }
inline Var operator/(const Arg& a, const Arg& b) { return div(a, b); }
inline Var operator-(const Arg& x) { return neg(x); }
inline Var operator<(const Arg& a, const Arg& b) { return lt(a, b); }
inline Var operator<=(const Arg& a, const Arg& b) { return le(a, b); }
inline Var operator>(const Arg& a, const Arg& b) { return gt(a, b); }
inline Var operator>=(const Arg& a, const Arg& b) { return ge(a, b); }

}  // namespace v0
}  // namespace rapt
