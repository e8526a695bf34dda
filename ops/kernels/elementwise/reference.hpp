// The elementwise kernels as plain formulas in double precision. The tests compare the kernels with
// them.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/kernels/elementwise/optimizer.hpp"
#include "ops/kernels/elementwise/pointwise_program.hpp"

namespace rapt::kernels::reference {

inline double sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}
inline double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

/// The density and the distribution function of the normal distribution.
inline double normal_density(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0));
}
inline double normal_below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

/// Returns what an instruction makes of its operands. Codes of int32 and dropout are not among
/// them: they give NaN.
inline double apply(Code code, double a, double b, double c) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  switch (code) {
    case Code::copy:
      return a;
    case Code::add:
      return a + b;
    case Code::sub:
      return a - b;
    case Code::mul:
      return a * b;
    case Code::div:
      return a / b;
    case Code::pow:
      return std::pow(a, b);
    case Code::minimum:
      return std::isnan(a) || std::isnan(b) ? nan : std::min(a, b);
    case Code::maximum:
      return std::isnan(a) || std::isnan(b) ? nan : std::max(a, b);
    case Code::neg:
      return -a;
    case Code::abs:
      return std::fabs(a);
    case Code::exp:
      return std::exp(a);
    case Code::exp2:
      return std::exp2(a);
    case Code::expm1:
      return std::expm1(a);
    case Code::log:
      return std::log(a);
    case Code::log1p:
      return std::log1p(a);
    case Code::sqrt:
      return std::sqrt(a);
    case Code::rsqrt:
      return 1 / std::sqrt(a);
    case Code::sin:
      return std::sin(a);
    case Code::cos:
      return std::cos(a);
    case Code::tanh:
      return std::tanh(a);
    case Code::erf:
      return std::erf(a);
    case Code::sigmoid:
      return sigmoid(a);
    case Code::relu:
      return std::isnan(a) ? nan : std::max(a, 0.0);
    case Code::gelu:
      return a == -infinity ? 0 : a * normal_below(a);
    case Code::silu:
      return a == -infinity ? 0 : a * sigmoid(a);
    case Code::softplus:
      return softplus(a);
    case Code::square:
      return a * a;
    case Code::reciprocal:
      return 1 / a;
    case Code::sign:
      return std::isnan(a) ? nan : double((a > 0) - (a < 0));
    case Code::floor:
      return std::floor(a);
    case Code::ceil:
      return std::ceil(a);
    case Code::narrow:
      return static_cast<float>(a);
    case Code::multiply_add:
      return a * b + c;
    case Code::where:
      return a != 0 ? b : c;
    case Code::clamp:
      return std::isnan(a) ? nan : std::min(std::max(a, b), c);
    case Code::equal:
      return a == b;
    case Code::not_equal:
      return a != b;
    case Code::less:
      return a < b;
    case Code::less_equal:
      return a <= b;
    case Code::greater:
      return a > b;
    case Code::greater_equal:
      return a >= b;
    case Code::logical_and:
      return a != 0 && b != 0;
    case Code::logical_or:
      return a != 0 || b != 0;
    case Code::logical_not:
      return a == 0;
    case Code::relu_grad:
      return a <= 0 ? 0 : b;
    case Code::gelu_grad:
      return std::isinf(a) ? (a > 0 ? b : 0) : b * (normal_below(a) + a * normal_density(a));
    case Code::silu_grad:
      return std::isinf(a) ? (a > 0 ? b : 0) : b * sigmoid(a) * (1 + a * (1 - sigmoid(a)));
    case Code::softplus_grad:
      return b * sigmoid(a);
    case Code::sigmoid_grad:
      return b * a * (1 - a);
    case Code::tanh_grad:
      return b * (1 - a * a);
    case Code::logistic_loss:
      return b * softplus(-a) + (1 - b) * softplus(a);
    case Code::logistic_loss_grad:
      return c * ((1 - b) * sigmoid(a) - b * sigmoid(-a));
    case Code::wrap_int32:
    case Code::mul_int32:
    case Code::div_int32:
    case Code::pow_int32:
    case Code::to_int32:
    case Code::dropout:
      break;
  }
  return nan;
}

/// Updates parameter p and velocity u by an SGD step.
inline void sgd(const SgdNumbers& s, double gradient, double& p, double& u, bool has_velocity) {
  const double g = gradient + s.decay * p;
  u = has_velocity ? s.momentum * u + g : g;
  p -= s.lr * (has_velocity && s.nesterov != 0 ? g + s.momentum * u : u);
}

/// Updates parameter p, mean m and variance v by an Adam step.
inline void adam(const AdamNumbers& s, double gradient, double& p, double& m, double& v) {
  p *= s.shrink;
  const double g = gradient + s.decay * p;
  m = s.beta1 * m + (1 - s.beta1) * g;
  v = s.beta2 * v + (1 - s.beta2) * g * g;
  p -= s.step * m / (s.root * std::sqrt(v) + s.eps);
}

/// One unit of a GRU. Gates are in the order r, z, n; x has their input parts, g their parts from
/// the state, to which `bias` belongs.
struct GruUnit {
  double x[3], g[3], bias[3], h;

  double step() const {
    const double r = sigmoid(x[0] + g[0] + bias[0]);
    const double z = sigmoid(x[1] + g[1] + bias[1]);
    const double n = std::tanh(x[2] + r * (g[2] + bias[2]));
    return (1 - z) * n + z * h;
  }
};

/// One unit of an LSTM. Gates are in the order i, f, g, o.
struct LstmUnit {
  double gate[4], c;

  double cell() const { return sigmoid(gate[1]) * c + sigmoid(gate[0]) * std::tanh(gate[2]); }
  double step() const { return sigmoid(gate[3]) * std::tanh(cell()); }
};

/// Calls body(from, to) with the offsets of each element of a copy between strided views.
template <class Body>
void copy(int dims, const int64_t* shape, const int64_t* from_strides, const int64_t* to_strides,
          const Body& body) {
  int64_t size = 1;
  for (int d = 0; d < dims; ++d) size *= shape[d];
  for (int64_t i = 0; i < size; ++i) {
    int64_t rest = i, from = 0, to = 0;
    for (int d = dims; d-- > 0; rest /= shape[d]) {
      from += rest % shape[d] * from_strides[d];
      to += rest % shape[d] * to_strides[d];
    }
    body(from, to);
  }
}

}  // namespace rapt::kernels::reference
