#include "ops/elementwise/elementwise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "ops/elementwise/pointwise.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using kernels::Code;
using Rule = void (*)(GradientContext&);

/// Defines an operator that is one instruction.
constexpr Op pointwise(std::string_view name, Code code, Rule gradient) {
  return {.name = name,
          .shape = &pointwise_shape,
          .gradient = gradient,
          .cpu = {.pointwise = &pointwise_family, .code = code_of(code), .strided_inputs = true}};
}

/// Defines such an operator for floats only.
constexpr Op real(std::string_view name, Code code, Rule gradient) {
  Op op = pointwise(name, code, gradient);
  op.shape = &float_shape;
  return op;
}

constexpr Op logic(std::string_view name, Code code) {
  Op op = pointwise(name, code, nullptr);
  op.shape = &logic_shape;
  return op;
}

constexpr Op comparison(std::string_view name, Code code) {
  Op op = pointwise(name, code, nullptr);
  op.shape = &comparison_shape;
  return op;
}

/// Gradient rule of step functions (sign, floor, ceil), whose derivative is 0 almost everywhere.
void no_gradient(GradientContext&) {}

// ---- gradients as separate operators, so that each is one instruction too -----------------------

// relu'(x) g
constinit const Op relu_grad_op = pointwise("relu_grad", Code::relu_grad, [](GradientContext& c) {
  c.input_grad(1) = record(relu_grad_op, {c.input(0), c.output_grad()});
});

/// Returns x, or the bound where |x| exceeds it. For even functions of x such as x^2 e^(-x^2),
/// which are 0 beyond the bound. There an infinite factor times 0 would give NaN.
Var within(const Var& x, double bound) { return where(abs(x) > bound, bound, x); }

// gelu'(x) g, where gelu''(x) = phi(x) (2 - x^2)
constinit const Op gelu_grad_op = pointwise("gelu_grad", Code::gelu_grad, [](GradientContext& c) {
  const Var x = c.input(0), g = c.input(1);
  if (c.needs(0)) {
    const Var squared = square(within(x, 50));
    const Var phi = exp(squared * -0.5) * (0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2);
    c.input_grad(0) = c.output_grad() * g * (phi * (2 - squared));
  }
  if (c.needs(1)) c.input_grad(1) = record(gelu_grad_op, {x, c.output_grad()});
});

/// Returns sigmoid'(x) = s (1 - s) with s = sigmoid(x). Uses sigmoid(-x), because 1 - s loses its
/// digits for large x.
Var sigmoid_slope(const Var& x) { return sigmoid(x) * sigmoid(-x); }

// silu'(x) g, where silu''(x) = s (1 - s) (2 + x (1 - 2 s)) with s = sigmoid(x)
constinit const Op silu_grad_op = pointwise("silu_grad", Code::silu_grad, [](GradientContext& c) {
  const Var x = c.input(0), g = c.input(1);
  if (c.needs(0)) {
    const Var near = within(x, 800);
    const Var bend = 2 + near * (sigmoid(-near) - sigmoid(near));
    c.input_grad(0) = c.output_grad() * g * (sigmoid_slope(near) * bend);
  }
  if (c.needs(1)) c.input_grad(1) = record(silu_grad_op, {x, c.output_grad()});
});

// g sigmoid(x)
constinit const Op softplus_grad_op =
    pointwise("softplus_grad", Code::softplus_grad, [](GradientContext& c) {
      const Var x = c.input(0), g = c.input(1);
      if (c.needs(0)) c.input_grad(0) = c.output_grad() * g * sigmoid_slope(x);
      if (c.needs(1)) c.input_grad(1) = record(softplus_grad_op, {x, c.output_grad()});
    });

// g y (1 - y)
constinit const Op sigmoid_grad_op =
    pointwise("sigmoid_grad", Code::sigmoid_grad, [](GradientContext& c) {
      const Var y = c.input(0), g = c.input(1);
      if (c.needs(0)) c.input_grad(0) = c.output_grad() * g * (1 - 2 * y);
      if (c.needs(1)) c.input_grad(1) = record(sigmoid_grad_op, {y, c.output_grad()});
    });

// g (1 - y^2)
constinit const Op tanh_grad_op = pointwise("tanh_grad", Code::tanh_grad, [](GradientContext& c) {
  const Var y = c.input(0), g = c.input(1);
  if (c.needs(0)) c.input_grad(0) = c.output_grad() * g * y * -2;
  if (c.needs(1)) c.input_grad(1) = record(tanh_grad_op, {y, c.output_grad()});
});

// ---- two operands -------------------------------------------------------------------------------

// y = a + b
constinit const Op add_op = [] {
  Op op = pointwise("add", Code::add, [](GradientContext& c) {
    c.input_grad(0) = c.output_grad();
    c.input_grad(1) = c.output_grad();
  });
  op.traits.is_sum = true;
  return op;
}();

// y = a - b
constinit const Op sub_op = pointwise("sub", Code::sub, [](GradientContext& c) {
  c.input_grad(0) = c.output_grad();
  if (c.needs(1)) c.input_grad(1) = -c.output_grad();
});

// y = a b
constinit const Op mul_op = pointwise("mul", Code::mul, [](GradientContext& c) {
  if (c.needs(0)) c.input_grad(0) = c.output_grad() * c.input(1);
  if (c.needs(1)) c.input_grad(1) = c.output_grad() * c.input(0);
});

// y = a / b
constinit const Op div_op = pointwise("div", Code::div, [](GradientContext& c) {
  const Var share = c.output_grad() / c.input(1);
  if (c.needs(0)) c.input_grad(0) = share;
  if (c.needs(1)) c.input_grad(1) = -(share * c.output());
});

// y = a^b: da = b a^(b - 1) dy, db = a^b log(a) dy
constinit const Op pow_op = pointwise("pow", Code::pow, [](GradientContext& c) {
  const Var a = c.input(0), b = c.input(1), g = c.output_grad();
  if (c.needs(0)) {
    // a^0 is 1 for every a, so its derivative is 0. The formula would give 0 times 0^-1, which is
    // NaN. An exponent of 0 avoids this in derivatives of every order. If b is differentiated too,
    // only a = 0 may be treated so, because elsewhere da changes with b.
    const Var constant = c.needs(1) ? logical_and(eq(a, 0), eq(b, 0)) : eq(b, 0);
    c.input_grad(0) = g * b * pow(a, where(constant, 0, b - 1));
  }
  if (c.needs(1)) {
    // As y goes to 0, so does y log(a).
    const Var moves = logical_and(a > 0, ne(c.output(), 0));
    c.input_grad(1) = where(moves, g * c.output() * log(where(moves, a, 1)), 0);
  }
});

/// Returns a's part of the gradient: all of g where a wins, half of it where both are equal.
Var winner(const Var& wins, const Var& a, const Var& b, const Var& g) {
  return where(wins, g, where(eq(a, b), g * 0.5, 0));
}

// y = min(a, b)
constinit const Op minimum_op = pointwise("minimum", Code::minimum, [](GradientContext& c) {
  const Var a = c.input(0), b = c.input(1), g = c.output_grad();
  if (c.needs(0)) c.input_grad(0) = winner(a < b, a, b, g);
  if (c.needs(1)) c.input_grad(1) = winner(b < a, a, b, g);
});

// y = max(a, b)
constinit const Op maximum_op = pointwise("maximum", Code::maximum, [](GradientContext& c) {
  const Var a = c.input(0), b = c.input(1), g = c.output_grad();
  if (c.needs(0)) c.input_grad(0) = winner(a > b, a, b, g);
  if (c.needs(1)) c.input_grad(1) = winner(b > a, a, b, g);
});

// ---- one operand --------------------------------------------------------------------------------

// y = -x
constinit const Op neg_op =
    pointwise("neg", Code::neg, [](GradientContext& c) { c.input_grad(0) = -c.output_grad(); });

// y = |x|
constinit const Op abs_op = pointwise("abs", Code::abs, [](GradientContext& c) {
  c.input_grad(0) = c.output_grad() * sign(c.input(0));
});

// y = e^x
constinit const Op exp_op = real(
    "exp", Code::exp, [](GradientContext& c) { c.input_grad(0) = c.output_grad() * c.output(); });

// y = e^x - 1
constinit const Op expm1_op = real("expm1", Code::expm1, [](GradientContext& c) {
  // exp(x) and not y + 1, which loses the digits of a small e^x.
  c.input_grad(0) = c.output_grad() * exp(c.input(0));
});

// y = ln x
constinit const Op log_op = real(
    "log", Code::log, [](GradientContext& c) { c.input_grad(0) = c.output_grad() / c.input(0); });

// y = ln(1 + x)
constinit const Op log1p_op = real("log1p", Code::log1p, [](GradientContext& c) {
  c.input_grad(0) = c.output_grad() / (c.input(0) + 1);
});

// y = x^(1/2)
constinit const Op sqrt_op = real("sqrt", Code::sqrt, [](GradientContext& c) {
  c.input_grad(0) = c.output_grad() * 0.5 / c.output();
});

// y = x^(-1/2)
constinit const Op rsqrt_op = real("rsqrt", Code::rsqrt, [](GradientContext& c) {
  const Var y = c.output();
  c.input_grad(0) = c.output_grad() * -0.5 * y * y * y;
});

// y = 1 / x
constinit const Op reciprocal_op = real("reciprocal", Code::reciprocal, [](GradientContext& c) {
  // Multiplied one after the other, because the square alone may overflow.
  c.input_grad(0) = -(c.output_grad() * c.output() * c.output());
});

// y = x^2
constinit const Op square_op = pointwise("square", Code::square, [](GradientContext& c) {
  c.input_grad(0) = c.output_grad() * 2 * c.input(0);
});

// y = sin x
constinit const Op sin_op = real("sin", Code::sin, [](GradientContext& c) {
  c.input_grad(0) = c.output_grad() * cos(c.input(0));
});

// y = cos x
constinit const Op cos_op = real("cos", Code::cos, [](GradientContext& c) {
  c.input_grad(0) = -(c.output_grad() * sin(c.input(0)));
});

// y = tanh x
constinit const Op tanh_op = real("tanh", Code::tanh, [](GradientContext& c) {
  c.input_grad(0) = record(tanh_grad_op, {c.output(), c.output_grad()});
});

// y = 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x
constinit const Op erf_op = real("erf", Code::erf, [](GradientContext& c) {
  const Var near = within(c.input(0), 50);
  c.input_grad(0) = c.output_grad() * exp(-square(near)) * (2 * std::numbers::inv_sqrtpi);
});

// y = 1 / (1 + e^-x)
constinit const Op sigmoid_op = real("sigmoid", Code::sigmoid, [](GradientContext& c) {
  c.input_grad(0) = record(sigmoid_grad_op, {c.output(), c.output_grad()});
});

// y = max(x, 0)
constinit const Op relu_op = pointwise("relu", Code::relu, [](GradientContext& c) {
  c.input_grad(0) = record(relu_grad_op, {c.input(0), c.output_grad()});
});

// y = x Phi(x)
constinit const Op gelu_op = real("gelu", Code::gelu, [](GradientContext& c) {
  c.input_grad(0) = record(gelu_grad_op, {c.input(0), c.output_grad()});
});

// y = x sigmoid(x)
constinit const Op silu_op = real("silu", Code::silu, [](GradientContext& c) {
  c.input_grad(0) = record(silu_grad_op, {c.input(0), c.output_grad()});
});

// y = ln(1 + e^x)
constinit const Op softplus_op = real("softplus", Code::softplus, [](GradientContext& c) {
  c.input_grad(0) = record(softplus_grad_op, {c.input(0), c.output_grad()});
});

constinit const Op sign_op = pointwise("sign", Code::sign, no_gradient);
constinit const Op floor_op = pointwise("floor", Code::floor, no_gradient);
constinit const Op ceil_op = pointwise("ceil", Code::ceil, no_gradient);

// ---- comparison and choice ----------------------------------------------------------------------

constinit const Op eq_op = comparison("eq", Code::equal);
constinit const Op ne_op = comparison("ne", Code::not_equal);
constinit const Op lt_op = comparison("lt", Code::less);
constinit const Op le_op = comparison("le", Code::less_equal);
constinit const Op gt_op = comparison("gt", Code::greater);
constinit const Op ge_op = comparison("ge", Code::greater_equal);
constinit const Op logical_and_op = logic("logical_and", Code::logical_and);
constinit const Op logical_or_op = logic("logical_or", Code::logical_or);
constinit const Op logical_not_op = logic("logical_not", Code::logical_not);

void where_shape(ShapeContext& c) {
  if (c.dtype(0) != DType::boolean) {
    c.fail(fmt::format("the condition has to be boolean, it is {}", name(c.dtype(0))),
           ErrorKind::type);
  }
  if (c.dtype(1) != c.dtype(2)) {
    c.fail(fmt::format("types differ: {} and {}", name(c.dtype(1)), name(c.dtype(2))),
           ErrorKind::type);
  }
  Shape shape;
  if (!broadcast(c.input(1), c.input(2), shape) || !broadcast(shape, c.input(0), shape)) {
    c.fail(fmt::format("shapes do not broadcast: {}, {} and {}", to_string(c.input(0)),
                       to_string(c.input(1)), to_string(c.input(2))));
  }
  c.output(shape, c.dtype(1));
}

// y = condition ? a : b
constinit const Op where_op = [] {
  Op op = pointwise("where", Code::where, [](GradientContext& c) {
    const Var condition = c.input(0), g = c.output_grad();
    if (c.needs(1)) c.input_grad(1) = where(condition, g, 0);
    if (c.needs(2)) c.input_grad(2) = where(condition, 0, g);
  });
  op.shape = &where_shape;
  return op;
}();

// y = min(max(x, low), high)
constinit const Op clamp_op = pointwise("clamp", Code::clamp, [](GradientContext& c) {
  const Var x = c.input(0), low = c.input(1), high = c.input(2), g = c.output_grad();
  if (c.needs(0)) c.input_grad(0) = where(logical_and(x >= low, x <= high), g, 0);
  if (c.needs(1)) c.input_grad(1) = where(x < low, g, 0);
  if (c.needs(2)) c.input_grad(2) = where(x > high, g, 0);
});

struct CastAttributes {
  int64_t dtype;
};

constinit const Op cast_op = [] {
  Op op = pointwise("cast", Code::copy, [](GradientContext& c) {
    if (is_float(c.output().dtype()) && is_float(c.input(0).dtype())) {
      c.input_grad(0) = cast(c.output_grad(), c.input(0).dtype());
    }
  });
  op.shape = [](ShapeContext& c) {
    c.output(c.input(0), static_cast<DType>(c.attributes<CastAttributes>().dtype));
  };
  return op;
}();

// ---- losses -------------------------------------------------------------------------------------

// The gradient of x is g ((1 - t) sigmoid(x) - t sigmoid(-x)). Its own derivative is g sigmoid(x)
// sigmoid(-x).
constinit const Op logistic_loss_grad_op =
    real("logistic_loss_grad", Code::logistic_loss_grad, [](GradientContext& c) {
      const Var x = c.input(0), t = c.input(1), g = c.input(2);
      if (c.needs(0)) c.input_grad(0) = c.output_grad() * g * sigmoid(x) * sigmoid(-x);
      if (c.needs(1)) c.input_grad(1) = -(c.output_grad() * g);
      if (c.needs(2)) c.input_grad(2) = record(logistic_loss_grad_op, {x, t, c.output_grad()});
    });

// y = t softplus(-x) + (1 - t) softplus(x): dt = -x dy
constinit const Op logistic_loss_op =
    real("logistic_loss", Code::logistic_loss, [](GradientContext& c) {
      const Var x = c.input(0), t = c.input(1), g = c.output_grad();
      if (c.needs(0)) c.input_grad(0) = record(logistic_loss_grad_op, {x, t, g});
      if (c.needs(1)) c.input_grad(1) = -(g * x);
    });

/// Returns the operators by code. Dropout, and what only the compiler of programs uses, has none.
std::array<const Op*, kernels::code_count> table_of_codes() {
  std::array<const Op*, kernels::code_count> table{};
  for (const Op* op : {&relu_grad_op,    &gelu_grad_op,   &silu_grad_op,  &softplus_grad_op,
                       &sigmoid_grad_op, &tanh_grad_op,   &add_op,        &sub_op,
                       &mul_op,          &div_op,         &pow_op,        &minimum_op,
                       &maximum_op,      &neg_op,         &abs_op,        &exp_op,
                       &expm1_op,        &log_op,         &log1p_op,      &sqrt_op,
                       &rsqrt_op,        &reciprocal_op,  &square_op,     &sin_op,
                       &cos_op,          &tanh_op,        &erf_op,        &sigmoid_op,
                       &relu_op,         &gelu_op,        &silu_op,       &softplus_op,
                       &sign_op,         &floor_op,       &ceil_op,       &eq_op,
                       &ne_op,           &lt_op,          &le_op,         &gt_op,
                       &ge_op,           &logical_and_op, &logical_or_op, &logical_not_op,
                       &where_op,        &clamp_op,       &cast_op,       &logistic_loss_grad_op,
                       &logistic_loss_op}) {
    table[static_cast<size_t>(op->cpu.code)] = op;
  }
  return table;
}

}  // namespace
}  // namespace v0
}  // namespace rapt

namespace rapt::internal {

Var logistic_loss(const Arg& x, const Arg& t) { return record(logistic_loss_op, x, t); }

const Op& elementwise_op(int64_t code) {
  static const auto by_code = table_of_codes();
  return *by_code.at(static_cast<size_t>(code));
}

}  // namespace rapt::internal

namespace rapt {
inline namespace v0 RAPT_API {

Var add(const Arg& a, const Arg& b) { return record(add_op, a, b); }
Var sub(const Arg& a, const Arg& b) { return record(sub_op, a, b); }
Var mul(const Arg& a, const Arg& b) { return record(mul_op, a, b); }
Var div(const Arg& a, const Arg& b) { return record(div_op, a, b); }
Var pow(const Arg& a, const Arg& b) { return record(pow_op, a, b); }
Var minimum(const Arg& a, const Arg& b) { return record(minimum_op, a, b); }
Var maximum(const Arg& a, const Arg& b) { return record(maximum_op, a, b); }
Var neg(const Arg& x) { return record(neg_op, x); }
Var abs(const Arg& x) { return record(abs_op, x); }
Var exp(const Arg& x) { return record(exp_op, x); }
Var expm1(const Arg& x) { return record(expm1_op, x); }
Var log(const Arg& x) { return record(log_op, x); }
Var log1p(const Arg& x) { return record(log1p_op, x); }
Var sqrt(const Arg& x) { return record(sqrt_op, x); }
Var rsqrt(const Arg& x) { return record(rsqrt_op, x); }
Var reciprocal(const Arg& x) { return record(reciprocal_op, x); }
Var square(const Arg& x) { return record(square_op, x); }
Var sin(const Arg& x) { return record(sin_op, x); }
Var cos(const Arg& x) { return record(cos_op, x); }
Var tanh(const Arg& x) { return record(tanh_op, x); }
Var erf(const Arg& x) { return record(erf_op, x); }
Var sigmoid(const Arg& x) { return record(sigmoid_op, x); }
Var relu(const Arg& x) { return record(relu_op, x); }
Var gelu(const Arg& x) { return record(gelu_op, x); }
Var silu(const Arg& x) { return record(silu_op, x); }
Var softplus(const Arg& x) { return record(softplus_op, x); }
Var sign(const Arg& x) { return record(sign_op, x); }
Var floor(const Arg& x) { return record(floor_op, x); }
Var ceil(const Arg& x) { return record(ceil_op, x); }
Var eq(const Arg& a, const Arg& b) { return record(eq_op, a, b); }
Var ne(const Arg& a, const Arg& b) { return record(ne_op, a, b); }
Var lt(const Arg& a, const Arg& b) { return record(lt_op, a, b); }
Var le(const Arg& a, const Arg& b) { return record(le_op, a, b); }
Var gt(const Arg& a, const Arg& b) { return record(gt_op, a, b); }
Var ge(const Arg& a, const Arg& b) { return record(ge_op, a, b); }
Var logical_and(const Arg& a, const Arg& b) { return record(logical_and_op, a, b); }
Var logical_or(const Arg& a, const Arg& b) { return record(logical_or_op, a, b); }
Var logical_not(const Arg& x) { return record(logical_not_op, x); }

Var where(const Arg& condition, const Arg& a, const Arg& b) {
  // A plain number takes the type of the other choice, not of the condition.
  const DType dtype = a.is_number() ? b.dtype() : a.dtype();
  const Var mask = as_var(condition);
  return record(where_op, {Arg(mask, condition.where), Arg(a.on(mask.graph(), dtype), a.where),
                           Arg(b.on(mask.graph(), dtype), b.where)});
}

Var clamp(const Arg& x, const Arg& low, const Arg& high) {
  return record(clamp_op, {x, low, high});
}

Var cast(const Arg& x, DType dtype) {
  const Var var = as_var(x);
  if (var.dtype() == dtype) return var;
  return record(cast_op, {Arg(var, x.where)}, CastAttributes{static_cast<int64_t>(dtype)});
}

}  // namespace v0
}  // namespace rapt
