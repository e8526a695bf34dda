#include <fmt/format.h>

#include <algorithm>
#include <rapt/framework/parallel.hpp>
#include <rapt/framework/recycled.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/matmul.hpp>
#include <rapt/ops/shape.hpp>

namespace rapt {
namespace {

using kernels::Gemm;
using kernels::GemmPlan;

/// Which operands are read transposed. Gradients ask for it in this way, so that they need no
/// node for a transposed view; matmul() never does.
struct ProductAttributes {
  int64_t transpose_a;
  int64_t transpose_b;
};

struct LinearAttributes {
  int64_t activation;
  int64_t bias;    // 1: the third input
  int64_t turned;  // 1: the last input is the weight's copy [in, out], which is read in its place
};

// ---- how a product is laid out
// --------------------------------------------------------------------

/// An operand's last two axes; a vector is a row on the left and a column on the right.
struct Matrix {
  int64_t rows, cols, row_stride, col_stride;
};

Matrix matrix_of(const Shape& shape, const Strides& strides, bool transposed, bool left) {
  Matrix matrix{};
  if (shape.rank() == 1) {
    matrix = left ? Matrix{1, shape[0], shape[0], strides[0]} : Matrix{shape[0], 1, strides[0], 1};
  } else {
    const auto row = static_cast<size_t>(shape.rank() - 2);
    matrix = {shape[-2], shape[-1], strides[row], strides[row + 1]};
  }
  if (transposed) {
    std::swap(matrix.rows, matrix.cols);
    std::swap(matrix.row_stride, matrix.col_stride);
  }
  return matrix;
}

Shape leading_of(const Shape& shape) {
  return Shape(std::span(shape.begin(), static_cast<size_t>(std::max(shape.rank() - 2, 0))));
}

/// A leading axis of the result, with the operands' steps along it.
struct LeadingAxis {
  int64_t size, a, b, c;
};

/// The step of an operand along leading axis i of `count`: 0 where it is broadcast.
int64_t leading_stride(const TensorView& view, int i, int count) {
  const int own = i - (count - std::max(view.shape.rank() - 2, 0));
  return own < 0 || view.shape[own] == 1 ? 0 : view.strides[static_cast<size_t>(own)];
}

/// One batch of products, repeated over the axes that its one stride does not reach.
template <class T>
struct Product {
  Gemm<T> gemm;
  LeadingAxis outer[max_rank];
  int outer_axes = 0;
  int64_t repeats = 1;

  Product(const TensorView& a, bool transpose_a, const TensorView& b, bool transpose_b,
          const TensorView& c) {
    const Matrix left = matrix_of(a.shape, a.strides, transpose_a, true);
    const Matrix right = matrix_of(b.shape, b.strides, transpose_b, false);
    gemm.m = left.rows;
    gemm.n = right.cols;
    gemm.k = left.cols;
    gemm.a = a.as<const T>();
    gemm.a_row = left.row_stride;
    gemm.a_col = left.col_stride;
    gemm.b = b.as<const T>();
    gemm.b_row = right.row_stride;
    gemm.b_col = right.col_stride;
    gemm.c = c.as<T>();
    gemm.c_row = gemm.n;
    add_leading_axes(a, b, c);
  }

  /// One repetition's batch of products.
  Gemm<T> item(int64_t repeat) const {
    Gemm<T> result = gemm;
    for (int i = 0; i < outer_axes; ++i) {
      const int64_t at = repeat % outer[i].size;
      repeat /= outer[i].size;
      result.a += at * outer[i].a;
      result.b += at * outer[i].b;
      result.c += at * outer[i].c;
      if (result.residual != nullptr) result.residual += at * outer[i].c;
    }
    return result;
  }

 private:
  void add_leading_axes(const TensorView& a, const TensorView& b, const TensorView& c) {
    const int count = c.shape.rank() - (a.shape.rank() > 1 ? 1 : 0) - (b.shape.rank() > 1 ? 1 : 0);
    LeadingAxis axes[max_rank];  // the innermost first
    int found = 0;
    int64_t c_stride = gemm.m * gemm.n;
    for (int i = count - 1; i >= 0; --i) {
      const int64_t size = c.shape[i];
      if (size == 1) continue;
      const LeadingAxis axis{size, leading_stride(a, i, count), leading_stride(b, i, count),
                             c_stride};
      c_stride *= size;
      LeadingAxis* inner = found > 0 ? &axes[found - 1] : nullptr;
      if (inner != nullptr && axis.a == inner->a * inner->size &&
          axis.b == inner->b * inner->size) {
        inner->size *= size;
      } else {
        axes[found++] = axis;
      }
    }
    int first = 0;
    while (first < found && becomes_rows(axes[first])) {
      const LeadingAxis& axis = axes[first++];
      if (gemm.m == 1) gemm.a_row = axis.a;
      gemm.m *= axis.size;
    }
    if (first == found) return;
    // The longest axis goes to the kernel, which gathers small products into one task.
    LeadingAxis* batch = std::max_element(
        axes + first, axes + found,
        [](const LeadingAxis& x, const LeadingAxis& y) { return x.size < y.size; });
    gemm.batch = batch->size;
    gemm.a_batch = batch->a;
    gemm.b_batch = batch->b;
    gemm.c_batch = batch->c;
    for (int i = first; i < found; ++i) {
      if (&axes[i] == batch) continue;
      outer[outer_axes++] = axes[i];
      repeats *= axes[i].size;
    }
  }

  /// Whether the items along the axis are but more rows of A, all times the same B.
  bool becomes_rows(const LeadingAxis& axis) const {
    return axis.b == 0 && (gemm.m == 1 || axis.a == gemm.m * gemm.a_row);
  }
};

/// An input after the `recorded` ones, which the planner gives to be added.
template <class T>
void add_residual(const ForwardContext& c, int recorded, Product<T>& product) {
  if (c.inputs() > recorded) product.gemm.residual = c.input(recorded).as<const T>();
}

template <class T>
void multiply(const ForwardContext& c, const Product<T>& product) {
  const auto& kernel = kernels::kernels_for<kernels::GemmTable, T>();
  const Gemm<T>& g = product.gemm;
  const GemmPlan plan = kernel.plan(g);
  const int64_t tasks = plan.tasks * product.repeats;
  if (tasks == 0) return;
  const int64_t group = kernels::tasks_in_a_call(g, plan, product.repeats, loop_threads());
  c.parallel((tasks + group - 1) / group, [&](int64_t part) {
    void* scratch = worker_scratch(static_cast<int64_t>(plan.scratch_bytes));
    const int64_t end = std::min(tasks, (part + 1) * group);
    for (int64_t task = part * group; task < end;) {
      const int64_t repeat = task / plan.tasks;
      const int64_t first = task % plan.tasks;
      const int64_t last = std::min(plan.tasks, first + end - task);
      kernel.run(product.item(repeat), plan, scratch, first, last);
      task += last - first;
    }
  });
}

double product_flops(const ForwardContext& c, int64_t inner) {
  return 2.0 * static_cast<double>(c.output().size()) * static_cast<double>(inner);
}

// ---- matmul
// --------------------------------------------------------------------------------------

Shape product_shape(ShapeContext& c) {
  const Shape &a = c.input(0), &b = c.input(1);
  const auto [transpose_a, transpose_b] = c.attributes<ProductAttributes>();
  if (c.dtype(0) != c.dtype(1) || !is_float(c.dtype(0))) {
    c.fail(fmt::format("expected two operands of one float type, got {} and {}", name(c.dtype(0)),
                       name(c.dtype(1))));
  }
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
  c.output().dtype == DType::float32 ? product_forward_of<float>(c) : product_forward_of<double>(c);
}

Var product(const Var& a, const Var& b, bool transpose_a, bool transpose_b);

/// [.., n] as [rows, n].
Var as_rows(const Var& x) {
  const Shape shape = x.shape();
  if (shape.rank() == 2) return x;
  const int64_t width = shape[-1];
  int64_t rows = 1;
  for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
  return reshape(x, {rows, width});
}

// Y = A B: the gradients are G B' and A' G. Where B is one matrix for a whole batch, the second is
// one product over all rows. With A or B transposed, the gradient is what is asked for transposed.
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

const Op matmul_op{.name = "matmul",
                   .shape = [](ShapeContext& c) { return product_shape(c); },
                   .forward = product_forward,
                   .gradient = product_gradient,
                   .flops =
                       [](const ForwardContext& c) {
                         const Shape& a = c.input(0).shape;
                         const bool transposed =
                             c.attributes<ProductAttributes>().transpose_a != 0 && a.rank() > 1;
                         return product_flops(c, a[transposed ? -2 : -1]);
                       },
                   .strided = true,
                   .adds = [](std::span<const int64_t>) { return true; }};

Var product(const Var& a, const Var& b, bool transpose_a, bool transpose_b) {
  return record(matmul_op, {a, b}, ProductAttributes{transpose_a ? 1 : 0, transpose_b ? 1 : 0});
}

// ---- linear
// ---------------------------------------------------------------------------------------

Shape linear_shape(ShapeContext& c) {
  const Shape &x = c.input(0), &weight = c.input(1);
  for (int i = 0; i < c.inputs(); ++i) {
    if (c.dtype(i) != c.dtype(0) || !is_float(c.dtype(i))) {
      c.fail(fmt::format("expected operands of one float type, got {} and {}", name(c.dtype(0)),
                         name(c.dtype(i))));
    }
  }
  if (weight.rank() != 2 || x.rank() == 0 || x[-1] != weight[1]) {
    c.fail(fmt::format("expected x [.., in] and weight [out, in], got {} and {}", to_string(x),
                       to_string(weight)));
  }
  if (c.attributes<LinearAttributes>().bias != 0 && c.input(2) != Shape{weight[0]}) {
    c.fail(fmt::format("expected a bias [out] for weight [out, in], got {} and {}",
                       to_string(c.input(2)), to_string(weight)));
  }
  Shape shape = x;
  shape[-1] = weight[0];
  return shape;
}

template <class T>
void linear_forward_of(const ForwardContext& c) {
  const auto attributes = c.attributes<LinearAttributes>();
  const bool turned = attributes.turned != 0;
  const int recorded = 2 + (attributes.bias != 0) + turned;
  Product<T> product(c.input(0), false, c.input(turned ? recorded - 1 : 1), !turned, c.output());
  if (attributes.bias != 0) product.gemm.bias = c.input(2).as<const T>();
  product.gemm.activation = static_cast<Activation>(attributes.activation);
  add_residual(c, recorded, product);
  multiply(c, product);
}

void linear_forward(const ForwardContext& c) {
  c.output().dtype == DType::float32 ? linear_forward_of<float>(c) : linear_forward_of<double>(c);
}

Var activated(const Var& x, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return relu(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::tanh:
      return tanh(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::silu:
      return silu(x);
    case Activation::none:
      break;
  }
  return x;
}

/// Whether the derivative follows from the activation's value, so that nothing else is kept.
bool known_by_value(Activation activation) {
  return activation != Activation::gelu && activation != Activation::silu;
}

/// g times the activation's derivative where its value is y.
Var through_activation(Activation activation, const Var& y, const Var& g) {
  switch (activation) {
    case Activation::relu:
      return where(y > 0, g, 0);
    case Activation::tanh:
      return g * (1 - square(y));
    case Activation::sigmoid:
      return g * y * (1 - y);
    default:
      return g;
  }
}

// y = f(x W' + b)
const Op linear_op{
    .name = "linear",
    .shape = [](ShapeContext& c) { return linear_shape(c); },
    .forward = linear_forward,
    .gradient =
        [](GradientContext& c) {
          const auto attributes = c.attributes<LinearAttributes>();
          const auto activation = static_cast<Activation>(attributes.activation);
          const Var x = c.input(0), weight = c.input(1);
          const Var g = through_activation(activation, c.output(), c.output_grad());
          if (c.needs(0)) c.input_grad(0) = matmul(g, weight);
          if (c.needs(1)) c.input_grad(1) = product(as_rows(g), as_rows(x), true, false);
          if (attributes.bias != 0) c.input_grad(2) = g;  // the engine sums over the rows
        },
    .reference =
        [](ReferenceContext& c) {
          const auto attributes = c.attributes<LinearAttributes>();
          Var y = product(c.input(0), c.input(1), false, true);
          if (attributes.bias != 0) y = y + c.input(2);
          c.output() = activated(y, static_cast<Activation>(attributes.activation));
        },
    .flops = [](const ForwardContext& c) { return product_flops(c, c.input(1).shape[1]); },
    .strided = true,
    .adds =
        [](std::span<const int64_t> words) {
          return attributes_of<LinearAttributes>(words).activation == 0;
        }};

template <class T>
bool copies_weight(int64_t rows, int64_t in, int64_t out) {
  Gemm<T> g{.m = rows, .n = out, .k = in, .a_row = in, .b_row = 1, .b_col = in, .c_row = out};
  if (kernels::plan_gemm(g).form != GemmPlan::Form::packed) return false;
  g.b_row = out;
  g.b_col = 1;
  return kernels::plan_gemm(g).form != GemmPlan::Form::packed;
}

/// A product reads its weight in whole vectors of outputs, and copies one that lies the other way.
/// Where few rows share the cost of that, and the weight comes again (at every step of a sequence),
/// it is copied once for all of them: from its third use on, this gives the copy, [in, out].
Var turned_weight(const Shape& x, const Var& weight) {
  Graph& graph = weight.graph();
  const Value& value = graph.values[weight.id()];
  if (value.shape.rank() != 2) return {};
  const int64_t out = value.shape[0], in = value.shape[1];
  constexpr uint32_t often = 2;  // the note is the number of uses up to this, then the copy's
  uint32_t& note = graph.note(weight.id());
  if (note < often) {
    ++note;
    return {};
  }
  const int64_t rows = in > 0 ? x.size() / in : 0;
  const bool copies = value.dtype == DType::float64 ? copies_weight<double>(rows, in, out)
                                                    : copies_weight<float>(rows, in, out);
  if (!copies) return {};
  if (note > often) return {graph, note - often - 1};
  const Var turned = graph.contiguous(transpose(weight));
  graph.note(weight.id()) = turned.id() + often + 1;
  return turned;
}

// The derivatives of gelu and silu need what goes into them. As an instruction of its own after the
// product the activation costs one pass over memory, which it shares with what follows (dropout);
// kept inside, it would cost a whole product to compute its input again.
Var linear_of(const Arg& x, const Arg& weight, const Arg* bias, Activation activation) {
  Recycled<Arg> inputs;
  inputs.reserve(4);
  inputs.push_back(x);
  inputs.push_back(weight);
  if (bias != nullptr) inputs.push_back(*bias);
  Var turned;
  if (Graph* graph = x.graph()) {
    const Var w = weight.on(*graph, x.dtype());
    turned = turned_weight(as_var(x).shape(), w);
    inputs[1] = Arg(w, weight.where);
    if (turned) inputs.emplace_back(turned, weight.where);
  }
  const bool inside = known_by_value(activation);
  const Var y = record(linear_op, inputs,
                       LinearAttributes{.activation = inside ? static_cast<int64_t>(activation) : 0,
                                        .bias = bias != nullptr ? 1 : 0,
                                        .turned = turned ? 1 : 0});
  return inside ? y : activated(y, activation);
}

}  // namespace

Var matmul(const Arg& a, const Arg& b) {
  return record(matmul_op, {a, b}, ProductAttributes{0, 0});
}

Var linear(const Arg& x, const Arg& weight, const Arg& bias, Activation activation) {
  if (bias.is_empty()) return linear(x, weight, activation);
  // The kernel reads the bias without strides.
  Graph* graph = bias.graph();
  const Arg dense = graph == nullptr ? bias : Arg(graph->contiguous(as_var(bias)), bias.where);
  return linear_of(x, weight, &dense, activation);
}

Var linear(const Arg& x, const Arg& weight, Activation activation) {
  return linear_of(x, weight, nullptr, activation);
}

// ---- several products for one weight
// --------------------------------------------------------------

bool is_weight_product(const Var& var) {
  const Graph& graph = var.graph();
  const Value& value = graph.values[var.id()];
  const Node& node = graph.nodes[value.node];
  if (node.op != &matmul_op) return false;
  const auto attributes = attributes_of<ProductAttributes>(graph.words_of(node));
  return attributes.transpose_a != 0 && attributes.transpose_b == 0 &&
         graph.values[graph.inputs_of(node)[0]].shape.rank() == 2 &&
         graph.values[graph.inputs_of(node)[1]].shape.rank() == 2;
}

Var merge_weight_products(std::span<const Var> products) {
  Graph& graph = products.front().graph();
  Recycled<Var> left, right;
  Var total;
  const auto add_to_total = [&](const Var& part) { total = total ? total + part : part; };
  for (const Var& var : products) {
    const auto ids = graph.inputs_of(graph.nodes[graph.values[var.id()].node]);
    const Var a(graph, ids[0]), b(graph, ids[1]);
    // Copying rows has to cost less than writing and adding a result.
    const int64_t m = a.size(1), n = b.size(1);
    if (products.size() > 1 && a.size(0) * (m + n) <= 2 * m * n) {
      left.push_back(a);
      right.push_back(b);
    } else {
      add_to_total(var);
    }
  }
  if (!left.empty()) add_to_total(product(concat(left, 0), concat(right, 0), true, false));
  return total;
}

}  // namespace rapt
