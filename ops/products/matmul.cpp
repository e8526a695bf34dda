#include "ops/products/matmul.hpp"

#include <fmt/format.h>

#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/product.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Flags for operands that are read transposed. Only gradients use them.
struct ProductAttributes {
  int64_t transpose_a;
  int64_t transpose_b;
};

Shape product_shape(ShapeContext& c) {
  const Shape &a = c.input(0), &b = c.input(1);
  const auto [transpose_a, transpose_b] = c.attributes<ProductAttributes>();
  c.one_float_type(2);
  if (a.rank() == 0 || b.rank() == 0) {
    c.fail(fmt::format("a scalar is no matrix: {} x {}", to_string(a), to_string(b)));
  }
  const Matrix left = matrix_of(a, {}, transpose_a != 0, true);
  const Matrix right = matrix_of(b, {}, transpose_b != 0, false);
  if (left.cols != right.rows) {
    c.fail(fmt::format("inner dimensions differ: {} x {}", to_string(a), to_string(b)));
  }
  Shape result;
  if (!broadcast(leading_of(a), leading_of(b), result)) {
    c.fail(fmt::format("leading dimensions do not broadcast: {} x {}", to_string(a), to_string(b)));
  }
  if (a.rank() > 1) result.push_back(left.rows);
  if (b.rank() > 1) result.push_back(right.cols);
  return result;
}

template <class T>
void product_forward_of(const ForwardContext& c) {
  const auto [transpose_a, transpose_b] = c.attributes<ProductAttributes>();
  Product<T> product(c.input(0), transpose_a != 0, c.input(1), transpose_b != 0, c.output());
  add_residual(c, 2, product);
  multiply(c, product);
}

void product_forward(const ForwardContext& c) {
  by_float_type(c.output().dtype, [&]<class T>() { product_forward_of<T>(c); });
}

// For Y = A B the gradients are G B' and A' G. If B is one matrix for a whole batch, the latter is
// one product over all rows. For a transposed A or B, the gradient is computed transposed.
void product_gradient(GradientContext& c) {
  const auto attributes = c.attributes<ProductAttributes>();
  const bool ta = attributes.transpose_a != 0, tb = attributes.transpose_b != 0;
  Var a = c.input(0), b = c.input(1), g = c.output_grad();
  const bool row = a.rank() == 1, column = b.rank() == 1;
  if (row || column) {  // as matrices: vectors get back the axis that the result lacks
    Shape shape = g.shape();
    if (column) shape.push_back(1);
    if (row) {
      Shape with_row;
      for (int i = 0; i + 1 < shape.rank(); ++i) with_row.push_back(shape[i]);
      with_row.push_back(1);
      with_row.push_back(shape[-1]);
      shape = with_row;
    }
    g = reshape(g, shape);
    if (row) a = reshape(a, {1, a.size(0)});
    if (column) b = reshape(b, {b.size(0), 1});
  }
  if (c.needs(0)) c.input_grad(0) = ta ? product(b, g, tb, true) : product(g, b, false, !tb);
  if (!c.needs(1)) return;
  const bool one_matrix = b.rank() == 2 && !ta;
  if (one_matrix) {
    a = as_rows(a);
    g = as_rows(g);
  }
  Var gradient = tb ? product(g, a, true, ta) : product(a, g, !ta, false);
  if (column) {  // [.., k, 1], to be summed to [k]
    const Shape shape = gradient.shape();
    gradient =
        reshape(gradient, Shape(std::span(shape.begin(), static_cast<size_t>(shape.rank() - 1))));
  }
  c.input_grad(1) = gradient;
}

// A weight's gradient from one use of it is A' B, a sum over rows. Several are one product over all
// rows: a recurrent network's weight gets one large product instead of one per step.
bool is_weight_product(const Var& result) {
  const Graph& graph = result.graph();
  const Node& node = graph.nodes[graph.values[result.id()].node];
  const auto attributes = attributes_of<ProductAttributes>(graph.words_of(node));
  const auto inputs = graph.inputs_of(node);
  return attributes.transpose_a != 0 && attributes.transpose_b == 0 &&
         graph.values[inputs[0]].shape.rank() == 2 && graph.values[inputs[1]].shape.rank() == 2;
}

Var sum_of_weight_products(std::span<const Var> results) {
  Graph& graph = results.front().graph();
  Recycled<Var> left, right;
  Var total;
  const auto add_to_total = [&](const Var& part) {
    total = total.is_empty() ? part : total + part;
  };
  for (const Var& result : results) {
    const auto ids = graph.inputs_of(graph.nodes[graph.values[result.id()].node]);
    const Var a(graph, ids[0]), b(graph, ids[1]);
    // Joining copies rows, which has to cost less than writing and adding a separate result.
    const int64_t m = a.size(1), n = b.size(1);
    if (results.size() > 1 && a.size(0) * (m + n) <= 2 * m * n) {
      left.push_back(a);
      right.push_back(b);
    } else {
      add_to_total(result);
    }
  }
  if (!left.empty()) {
    add_to_total(internal::product(concat(left, 0), concat(right, 0), true, false));
  }
  return total;
}

constexpr SumRule one_product_for_all{.applies = is_weight_product, .sum = sum_of_weight_products};

constinit const Op matmul_op{
    .name = "matmul",
    .shape = [](ShapeContext& c) { return product_shape(c); },
    .gradient = product_gradient,
    .sum_rule = &one_product_for_all,
    .cpu = {.forward = product_forward,
            .flops =
                [](const ForwardContext& c) {
                  const Shape& a = c.input(0).shape;
                  const bool transposed =
                      c.attributes<ProductAttributes>().transpose_a != 0 && a.rank() > 1;
                  return product_flops(c, a[transposed ? -2 : -1]);
                },
            .strided_inputs = true,
            .fuses_residual = [](std::span<const int64_t>) { return true; }}};

}  // namespace

}  // namespace v0
}  // namespace rapt

namespace rapt::internal {

Var product(const Var& a, const Var& b, bool transpose_a, bool transpose_b) {
  return record(matmul_op, {a, b}, ProductAttributes{transpose_a ? 1 : 0, transpose_b ? 1 : 0});
}

}  // namespace rapt::internal

namespace rapt {
inline namespace v0 RAPT_API {

Var matmul(const Arg& a, const Arg& b) {
  return record(matmul_op, {a, b}, ProductAttributes{0, 0});
}

}  // namespace v0
}  // namespace rapt
