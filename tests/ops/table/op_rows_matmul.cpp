// Matrix products: the oracle loops over every product of two elements.

#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/shape/shape.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

using Vars = std::vector<Var>;
using Arrays = std::vector<Array>;
using Sizes = std::vector<size_t>;

/// Advances a multi-index. Returns false after the last one.
bool advance(Sizes& index, const Sizes& shape) {
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (++index[axis] < shape[axis]) return true;
    index[axis] = 0;
  }
  return false;
}

/// Returns an operand's element at (i, j) for a leading index of the result, with broadcasting.
double element(const Array& x, const Sizes& leading, size_t i, size_t j) {
  const Sizes shape(x.shape().begin(), x.shape().end());
  const size_t own = shape.size() - 2;
  Sizes index(own);
  for (size_t axis = 0; axis < own; ++axis) {
    const size_t at = leading[leading.size() - own + axis];
    index[axis] = shape[axis] == 1 ? 0 : at;
  }
  index.push_back(i);
  index.push_back(j);
  return x.element(index.begin(), index.end());
}

Array plain_matmul(Array a, Array b) {
  const bool row = a.dimension() == 1, column = b.dimension() == 1;
  if (row) a.reshape(Sizes{1, a.size()});
  if (column) b.reshape(Sizes{b.size(), 1});
  Sizes leading(std::max(a.dimension(), b.dimension()) - 2, 1);
  for (const Array* x : {&a, &b}) {
    const size_t own = x->dimension() - 2;
    for (size_t axis = 0; axis < own; ++axis) {
      size_t& size = leading[leading.size() - own + axis];
      size = std::max(size, x->shape()[axis]);
    }
  }
  const size_t m = a.shape()[a.dimension() - 2], k = a.shape().back(), n = b.shape().back();
  std::vector<double> values;
  Sizes at(leading.size(), 0);
  do {
    for (size_t i = 0; i < m; ++i) {
      for (size_t j = 0; j < n; ++j) {
        double sum = 0;
        for (size_t p = 0; p < k; ++p) sum += element(a, at, i, p) * element(b, at, p, j);
        values.push_back(sum);
      }
    }
  } while (advance(at, leading));
  Sizes shape = leading;
  if (!row) shape.push_back(m);
  if (!column) shape.push_back(n);
  Array result(shape);
  std::copy(values.begin(), values.end(), result.begin());
  return result;
}

Row product(const std::string& name, const Shape& a, const Shape& b) {
  return {.name = "matmul, " + name,
          .inputs = {{a}, {b}},
          .apply = [](const Vars& v) { return matmul(v[0], v[1]); },
          .expected = [](const Arrays& v) { return plain_matmul(v[0], v[1]); }};
}

Array plain_activation(const Array& x, Activation activation) {
  Array y = x;
  for (double& v : y) {
    switch (activation) {
      case Activation::relu:
        v = v > 0 ? v : 0;
        break;
      case Activation::gelu:
        v = 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
        break;
      case Activation::tanh:
        v = std::tanh(v);
        break;
      case Activation::sigmoid:
        v = 1 / (1 + std::exp(-v));
        break;
      case Activation::silu:
        v = v / (1 + std::exp(-v));
        break;
      case Activation::none:
        break;
    }
  }
  return y;
}

Array plain_linear(const Arrays& v, Activation activation) {
  Array y = plain_matmul(v[0], xt::transpose(v[1]));
  if (v.size() == 3) y = Array(y + v[2]);
  return plain_activation(y, activation);
}

Row linear_row(const std::string& name, const std::vector<Input>& inputs, Activation activation) {
  return {.name = "linear, " + name,
          .inputs = inputs,
          .apply =
              [activation](const Vars& v) {
                return v.size() == 3 ? linear(v[0], v[1], v[2], activation)
                                     : linear(v[0], v[1], activation);
              },
          .expected = [activation](const Arrays& v) { return plain_linear(v, activation); }};
}

}  // namespace

std::vector<Row> matmul_rows() {
  std::vector<Row> rows{
      product("matrices", {5, 7}, {7, 3}),
      product("matrices wider than a vector register", {9, 33}, {33, 35}),
      product("one row", {1, 6}, {6, 5}),
      product("one column", {6, 5}, {5, 1}),
      product("an inner size of 1", {4, 1}, {1, 5}),
      product("two vectors", {7}, {7}),
      product("a vector and a matrix", {4}, {4, 3}),
      product("a vector and a batch", {4}, {2, 4, 3}),
      product("a matrix and a vector", {3, 4}, {4}),
      product("a batch and a vector", {2, 3, 4}, {4}),
      product("batches", {2, 3, 4, 5}, {2, 3, 5, 2}),
      product("a batch and one matrix", {2, 3, 4}, {4, 5}),
      product("batches of single rows and one matrix", {2, 3, 1, 4}, {4, 5}),
      product("one matrix and a batch", {3, 4}, {2, 4, 5}),
      product("leading axes broadcast both ways", {2, 1, 3, 4}, {3, 4, 2}),
      product("leading axes broadcast on the inside", {2, 3, 2, 4}, {2, 1, 4, 3}),
  };
  rows.push_back(
      {.name = "matmul, transposed left",
       .inputs = {{{7, 5}}, {{7, 3}}},
       .apply = [](const Vars& v) { return matmul(transpose(v[0]), v[1]); },
       .expected = [](const Arrays& v) { return plain_matmul(xt::transpose(v[0]), v[1]); }});
  rows.push_back({.name = "matmul, transposed right",
                  .inputs = {{{2, 5, 7}}, {{2, 3, 7}}},
                  .apply = [](const Vars& v) { return matmul(v[0], transpose(v[1])); },
                  .expected =
                      [](const Arrays& v) {
                        return plain_matmul(v[0], xt::transpose(v[1], Sizes{0, 2, 1}));
                      }});
  rows.push_back(
      {.name = "matmul, both transposed",
       .inputs = {{{7, 5}}, {{3, 7}}},
       .apply = [](const Vars& v) { return matmul(transpose(v[0]), transpose(v[1])); },
       .expected =
           [](const Arrays& v) { return plain_matmul(xt::transpose(v[0]), xt::transpose(v[1])); }});
  rows.push_back({.name = "matmul, a transposed batch and one matrix",
                  .inputs = {{{2, 4, 3}}, {{4, 5}}},
                  .apply = [](const Vars& v) { return matmul(transpose(v[0]), v[1]); },
                  .expected =
                      [](const Arrays& v) {
                        return plain_matmul(xt::transpose(v[0], Sizes{0, 2, 1}), v[1]);
                      }});
  rows.push_back({.name = "matmul, heads of attention",  // leading axes that do not collapse
                  .inputs = {{{2, 3, 4, 5}}, {{2, 6, 4, 5}}},
                  .apply =
                      [](const Vars& v) {
                        return matmul(permute(v[0], {0, 2, 1, 3}), permute(v[1], {0, 2, 3, 1}));
                      },
                  .expected =
                      [](const Arrays& v) {
                        return plain_matmul(xt::transpose(v[0], Sizes{0, 2, 1, 3}),
                                            xt::transpose(v[1], Sizes{0, 2, 3, 1}));
                      }});
  rows.push_back({.name = "matmul, every other column",
                  .inputs = {{{3, 8}}, {{4, 6}}},
                  .apply =
                      [](const Vars& v) {
                        return matmul(slice(v[0], 1, 0, to_end, 2), slice(v[1], 1, 1, to_end, 2));
                      },
                  .expected =
                      [](const Arrays& v) {
                        return plain_matmul(xt::view(v[0], xt::all(), xt::range(0, 8, 2)),
                                            xt::view(v[1], xt::all(), xt::range(1, 6, 2)));
                      }});
  rows.push_back({.name = "matmul, the last of each sequence",
                  .inputs = {{{3, 5, 4}}, {{4, 6}}},
                  .apply = [](const Vars& v) { return matmul(slice(v[0], 1, -1), v[1]); },
                  .expected =
                      [](const Arrays& v) {
                        return plain_matmul(xt::view(v[0], xt::all(), xt::range(4, 5), xt::all()),
                                            v[1]);
                      }});
  rows.push_back({.name = "matmul, a value times itself",
                  .inputs = {{{4, 4}}},
                  .apply = [](const Vars& v) { return matmul(v[0], v[0]); },
                  .expected = [](const Arrays& v) { return plain_matmul(v[0], v[0]); }});

  const std::vector<Input> with_bias{{{2, 3, 5}}, {{4, 5}}, {{4}}};
  rows.push_back(linear_row("without a bias", {{{3, 5}}, {{4, 5}}}, Activation::none));
  rows.push_back(linear_row("a vector", {{{5}}, {{4, 5}}, {{4}}}, Activation::none));
  rows.push_back(linear_row("tanh without a bias", {{{3, 5}}, {{4, 5}}}, Activation::tanh));
  rows.push_back(linear_row("with a bias", with_bias, Activation::none));
  rows.push_back(linear_row("relu", with_bias, Activation::relu));
  rows.push_back(linear_row("gelu", with_bias, Activation::gelu));
  rows.push_back(linear_row("tanh", with_bias, Activation::tanh));
  rows.push_back(linear_row("sigmoid", with_bias, Activation::sigmoid));
  rows.push_back(linear_row("silu", with_bias, Activation::silu));
  rows.push_back({.name = "linear, of views",
                  .inputs = {{{3, 5, 2}}, {{5, 4}}, {{8}}},
                  .apply =
                      [](const Vars& v) {
                        return linear(permute(v[0], {0, 2, 1}), transpose(v[1]),
                                      slice(v[2], 0, 0, to_end, 2), Activation::sigmoid);
                      },
                  .expected =
                      [](const Arrays& v) {
                        return plain_linear(
                            {Array(xt::transpose(v[0], Sizes{0, 2, 1})), Array(xt::transpose(v[1])),
                             Array(xt::view(v[2], xt::range(0, 8, 2)))},
                            Activation::sigmoid);
                      }});
  // From the third use on, products read a packed copy of the weight. This order of recording once
  // made fusion create a cycle of steps.
  rows.push_back({.name = "linear, a weight that comes again",
                  .inputs = {{{40, 19}}, {{21, 19}}},
                  .apply =
                      [](const Vars& v) {
                        const Var once = linear(v[0], v[1]);
                        const Var twice = linear(v[0] * 2, v[1]), thrice = linear(v[0] * 3, v[1]);
                        const Var sum = once + twice * thrice;  // recorded before the tanh of the
                                                                // last product
                        return sum + linear(tanh(v[0]), v[1]);
                      },
                  .expected =
                      [](const Arrays& v) {
                        const Array w = xt::transpose(v[1]), x = v[0];
                        const Array y = plain_matmul(x, w);
                        const Array last = plain_matmul(Array(xt::tanh(x)), w);
                        return Array(y + 6 * y * y + last);
                      },
                  // sums of 19 products of numbers up to 4, squared, times 6
                  .tolerance = 1e-4});
  return rows;
}

}  // namespace rapt::test
