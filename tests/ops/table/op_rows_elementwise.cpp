#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

using Vars = std::vector<Var>;
using Arrays = std::vector<Array>;

Row unary(std::string name, Var (*op)(const Arg&), double (*oracle)(double), double low,
          double high, bool gradient = true) {
  return {.name = std::move(name),
          .inputs = {{.shape = {3, 37}, .low = low, .high = high}},
          .apply = [op](const Vars& v) { return op(v[0]); },
          .expected =
              [oracle](const Arrays& a) {
                Array y = a[0];
                for (double& value : y) value = oracle(value);
                return y;
              },
          .gradient = gradient};
}

/// Two operands of the given shapes; the oracle receives them broadcast to one shape.
Row binary(std::string name, Var (*op)(const Arg&, const Arg&), double (*oracle)(double, double),
           Shape a, Shape b, double low = -2, double high = 2, bool gradient = true) {
  return {
      .name = std::move(name),
      .inputs = {{.shape = a, .low = low, .high = high}, {.shape = b, .low = low, .high = high}},
      .apply = [op](const Vars& v) { return op(v[0], v[1]); },
      .expected =
          [oracle](const Arrays& in) {
            const Array x = in[0] + 0 * in[1], y = in[1] + 0 * in[0];
            Array z = x;
            for (size_t i = 0; i < z.size(); ++i) {
              z.flat(i) = oracle(x.flat(i), y.flat(i));
            }
            return z;
          },
      .gradient = gradient};
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

std::vector<Row> elementwise_rows() {
  using D = double;
  std::vector<Row> rows{
      binary("add", add, [](D a, D b) { return a + b; }, {3, 5}, {3, 5}),
      binary("add: a row is spread", add, [](D a, D b) { return a + b; }, {4, 7}, {7}),
      binary("add: both are spread", add, [](D a, D b) { return a + b; }, {2, 1, 5}, {3, 1}),
      binary("sub", sub, [](D a, D b) { return a - b; }, {3, 5}, {3, 5}),
      binary("sub: a column is spread", sub, [](D a, D b) { return a - b; }, {3, 1}, {3, 19}),
      binary("mul", mul, [](D a, D b) { return a * b; }, {2, 3, 4}, {3, 4}),
      binary("mul: a scalar is spread", mul, [](D a, D b) { return a * b; }, {}, {33}),
      binary(
          "div", div, [](D a, D b) { return a / b; }, {3, 5}, {5}, 0.5, 2),
      binary(
          "pow", pow, [](D a, D b) { return std::pow(a, b); }, {3, 5}, {3, 5}, 0.5, 2),
      binary("minimum", minimum, [](D a, D b) { return std::min(a, b); }, {3, 21}, {3, 21}),
      binary("maximum", maximum, [](D a, D b) { return std::max(a, b); }, {3, 21}, {21}),
      binary(
          "lt", lt, [](D a, D b) { return D(a < b); }, {3, 21}, {21}, -2, 2, false),
      binary(
          "le", le, [](D a, D b) { return D(a <= b); }, {3, 21}, {21}, -2, 2, false),
      binary(
          "gt", gt, [](D a, D b) { return D(a > b); }, {3, 21}, {21}, -2, 2, false),
      binary(
          "ge", ge, [](D a, D b) { return D(a >= b); }, {3, 21}, {21}, -2, 2, false),
      unary(
          "neg", neg, [](D x) { return -x; }, -2, 2),
      unary(
          "abs", abs, [](D x) { return std::abs(x); }, -2, 2),
      unary(
          "exp", exp, [](D x) { return std::exp(x); }, -3, 3),
      unary(
          "expm1", expm1, [](D x) { return std::expm1(x); }, -1, 1),
      unary(
          "log", log, [](D x) { return std::log(x); }, 0.3, 3),
      unary(
          "log1p", log1p, [](D x) { return std::log1p(x); }, -0.5, 2),
      unary(
          "sqrt", sqrt, [](D x) { return std::sqrt(x); }, 0.3, 3),
      unary(
          "rsqrt", rsqrt, [](D x) { return 1 / std::sqrt(x); }, 0.3, 3),
      unary(
          "reciprocal", reciprocal, [](D x) { return 1 / x; }, 0.3, 3),
      unary(
          "square", square, [](D x) { return x * x; }, -2, 2),
      unary(
          "sin", sin, [](D x) { return std::sin(x); }, -4, 4),
      unary(
          "cos", cos, [](D x) { return std::cos(x); }, -4, 4),
      unary(
          "tanh", tanh, [](D x) { return std::tanh(x); }, -3, 3),
      unary(
          "erf", erf, [](D x) { return std::erf(x); }, -2, 2),
      unary("sigmoid", sigmoid, sigmoid_of, -4, 4),
      unary(
          "relu", relu, [](D x) { return std::max(x, 0.0); }, -2, 2),
      unary(
          "gelu", gelu, [](D x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }, -3, 3),
      unary(
          "silu", silu, [](D x) { return x * sigmoid_of(x); }, -4, 4),
      unary(
          "softplus", softplus, [](D x) { return std::log1p(std::exp(x)); }, -4, 4),
      unary(
          "sign", sign, [](D x) { return D(x > 0) - D(x < 0); }, -2, 2, false),
      unary(
          "floor", floor, [](D x) { return std::floor(x); }, -3, 3, false),
      unary(
          "ceil", ceil, [](D x) { return std::ceil(x); }, -3, 3, false),
  };
  const auto counts = [](std::string name, Var (*op)(const Arg&, const Arg&),
                         double (*oracle)(double, double), DType dtype, double high) {
    Row row = binary(std::move(name), op, oracle, {3, 21}, {21}, 0, high, false);
    for (Input& input : row.inputs) input.dtype = dtype;
    return row;
  };
  rows.push_back(counts(
      "eq", eq, [](D a, D b) { return D(a == b); }, DType::int32, 3));
  rows.push_back(counts(
      "ne", ne, [](D a, D b) { return D(a != b); }, DType::int32, 3));
  rows.push_back(counts(
      "add of int32", add, [](D a, D b) { return a + b; }, DType::int32, 1e8));
  rows.push_back(counts(
      "logical_and", logical_and, [](D a, D b) { return a * b; }, DType::boolean, 2));
  rows.push_back(counts(
      "logical_or", logical_or, [](D a, D b) { return std::max(a, b); }, DType::boolean, 2));
  rows.push_back({.name = "logical_not",
                  .inputs = {{.shape = {70}, .low = 0, .high = 2, .dtype = DType::boolean}},
                  .apply = [](const Vars& v) { return logical_not(v[0]); },
                  .expected = [](const Arrays& a) -> Array { return 1 - a[0]; },
                  .gradient = false});
  rows.push_back(
      {.name = "where",
       .inputs = {{.shape = {4, 1}, .low = 0, .high = 2, .dtype = DType::boolean},
                  {.shape = {4, 9}},
                  {.shape = {9}}},
       .apply = [](const Vars& v) { return where(v[0], v[1], v[2]); },
       .expected = [](const Arrays& a) -> Array { return a[0] * a[1] + (1 - a[0]) * a[2]; }});
  rows.push_back({.name = "clamp",
                  .inputs = {{.shape = {3, 33}}},
                  .apply = [](const Vars& v) { return clamp(v[0], -0.7, 1.1); },
                  .expected = [](const Arrays& a) -> Array { return xt::clip(a[0], -0.7, 1.1); }});
  rows.push_back(
      {.name = "cast",
       .inputs = {{.shape = {3, 33}, .low = 0, .high = 9, .dtype = DType::int32}, {.shape = {33}}},
       .apply = [](const Vars& v) { return cast(v[0], v[1].dtype()) * v[1]; },
       .expected = [](const Arrays& a) -> Array { return a[0] * a[1]; }});
  rows.push_back({.name = "a chain becomes one program",
                  .inputs = {{.shape = {5, 67}}, {.shape = {67}}, {.shape = {5, 1}}},
                  .apply =
                      [](const Vars& v) {
                        const Var h = tanh(v[0] * v[1] + v[2]);
                        return h * sigmoid(v[0]) + h * 2 - v[1];
                      },
                  .expected = [](const Arrays& a) -> Array {
                    const Array h = xt::tanh(a[0] * a[1] + a[2]);
                    return h / (1 + xt::exp(-a[0])) + 2 * h - a[1];
                  }});
  return rows;
}

}  // namespace rapt::test
