// Elementwise operators. Operands broadcast as in NumPy; a plain number takes the type of the
// other operand. Chains of them run as one pass over memory.
//
// Results of int32 are modulo 2^32 after each operator (two's complement), as in PyTorch: they do
// not depend on what is fused, or on who asks for what in between.
//
// All throw Error where shapes do not broadcast or element types differ.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

Var add(const Arg& a, const Arg& b);
Var sub(const Arg& a, const Arg& b);
Var mul(const Arg& a, const Arg& b);
/// Of int32: rounded towards 0. There x / 0 is 0, as ARM's sdiv has it, and -2^31 / -1 is -2^31.
Var div(const Arg& a, const Arg& b);
/// a to the power of b. The gradient of b is 0 where a is not above 0, that of a is 0 where b is 0.
/// Of int32: a negative power is the fraction rounded towards 0, and 0 to a negative power is 0.
Var pow(const Arg& a, const Arg& b);
/// The smaller of two; NaN where one is. Where both are equal, each gets half of the gradient.
Var minimum(const Arg& a, const Arg& b);
Var maximum(const Arg& a, const Arg& b);

Var neg(const Arg& x);
Var abs(const Arg& x);
Var exp(const Arg& x);
Var expm1(const Arg& x);
Var log(const Arg& x);
Var log1p(const Arg& x);
Var sqrt(const Arg& x);
/// 1 / sqrt(x).
Var rsqrt(const Arg& x);
Var reciprocal(const Arg& x);
Var square(const Arg& x);
Var sin(const Arg& x);
Var cos(const Arg& x);
Var tanh(const Arg& x);
Var erf(const Arg& x);
/// 1 / (1 + exp(-x)).
Var sigmoid(const Arg& x);
/// max(x, 0).
Var relu(const Arg& x);
/// x Phi(x) with the normal distribution's Phi, the exact form (Hendrycks and Gimpel 2016).
Var gelu(const Arg& x);
/// x sigmoid(x) (Elfwing et al. 2018).
Var silu(const Arg& x);
/// log(1 + exp(x)).
Var softplus(const Arg& x);
/// -1, 0 or 1; no gradient passes. So with floor and ceil.
Var sign(const Arg& x);
Var floor(const Arg& x);
Var ceil(const Arg& x);

/// Comparisons give a boolean array.
Var equal(const Arg& a, const Arg& b);
Var not_equal(const Arg& a, const Arg& b);
Var less(const Arg& a, const Arg& b);
Var less_equal(const Arg& a, const Arg& b);
Var greater(const Arg& a, const Arg& b);
Var greater_equal(const Arg& a, const Arg& b);
/// Of boolean arrays.
Var logical_and(const Arg& a, const Arg& b);
Var logical_or(const Arg& a, const Arg& b);
Var logical_not(const Arg& x);

/// a where the boolean `condition` holds, else b.
Var where(const Arg& condition, const Arg& a, const Arg& b);
/// x limited to [low, high]. The gradient passes where low <= x <= high.
Var clamp(const Arg& x, const Arg& low, const Arg& high);
/// The same values in another element type. The gradient passes between float types. To int32:
/// rounded towards 0; what is beyond int32's range becomes its nearest number, and NaN becomes 0.
Var cast(const Arg& x, DType dtype);

inline Var operator+(const Arg& a, const Arg& b) { return add(a, b); }
inline Var operator-(const Arg& a, const Arg& b) { return sub(a, b); }
inline Var operator*(const Arg& a, const Arg& b) { return mul(a, b); }
inline Var operator/(const Arg& a, const Arg& b) { return div(a, b); }
inline Var operator-(const Arg& x) { return neg(x); }
inline Var operator<(const Arg& a, const Arg& b) { return less(a, b); }
inline Var operator<=(const Arg& a, const Arg& b) { return less_equal(a, b); }
inline Var operator>(const Arg& a, const Arg& b) { return greater(a, b); }
inline Var operator>=(const Arg& a, const Arg& b) { return greater_equal(a, b); }

}  // namespace RAPT_API
