// Layout and execution of a matrix product, shared by matmul and linear.
#pragma once

#include <algorithm>
#include <utility>

#include "framework/core/internal.hpp"
#include "framework/core/parallel.hpp"
#include "framework/graph/op.hpp"
#include "ops/kernels/gemm/gemm.hpp"
#include "ops/shape/shape.hpp"

namespace rapt::internal {

using kernels::Gemm;
using kernels::GemmPlan;

/// Last two axes of an operand. A vector is a row on the left and a column on the right.
struct Matrix {
  int64_t rows, cols, row_stride, col_stride;
};

inline Matrix matrix_of(const Shape& shape, const Strides& strides, bool transposed, bool left) {
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

inline Shape leading_of(const Shape& shape) {
  return Shape(std::span(shape.begin(), static_cast<size_t>(std::max(shape.rank() - 2, 0))));
}

/// Leading axis of the result, with the operands' strides along it.
struct LeadingAxis {
  int64_t size, a, b, c;
};

/// Returns the stride of an operand along leading axis i of `count`; 0 if it is broadcast.
inline int64_t leading_stride(const TensorView& view, int i, int count) {
  const int own = i - (count - std::max(view.shape.rank() - 2, 0));
  return own < 0 || view.shape[own] == 1 ? 0 : view.strides[static_cast<size_t>(own)];
}

/// One batch of products, repeated over the leading axes that the batch stride does not cover.
template <class T>
struct Product {
  Gemm<T> gemm;
  LeadingAxis outer[max_rank];
  int outer_axes = 0;
  int64_t repeats = 1;

  explicit Product(const Gemm<T>& one) : gemm(one) {}

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

  /// Calls body with the batch of one repetition. Without outer axes it avoids the copy of `gemm`,
  /// whose cost is noticeable for small products.
  template <class Body>
  void with_item(int64_t repeat, const Body& body) const {
    if (outer_axes == 0) return body(gemm);
    Gemm<T> result = gemm;
    for (int i = 0; i < outer_axes; ++i) {
      const int64_t at = repeat % outer[i].size;
      repeat /= outer[i].size;
      result.a += at * outer[i].a;
      result.b += at * outer[i].b;
      result.c += at * outer[i].c;
      if (result.residual != nullptr) result.residual += at * outer[i].c;
    }
    body(result);
  }

 private:
  void add_leading_axes(const TensorView& a, const TensorView& b, const TensorView& c) {
    const int count = c.shape.rank() - (a.shape.rank() > 1 ? 1 : 0) - (b.shape.rank() > 1 ? 1 : 0);
    LeadingAxis axes[max_rank];  // innermost first
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
    // The longest axis goes to the kernel, which combines small products into one task.
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

  /// True if the items along the axis are additional rows of A, all multiplied by the same B.
  bool becomes_rows(const LeadingAxis& axis) const {
    return axis.b == 0 && (gemm.m == 1 || axis.a == gemm.m * gemm.a_row);
  }
};

/// Sets the residual if the planner appended an input after the `recorded` ones. The product adds
/// it to its result.
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
  const int64_t calls = kernels::calls_for(g, plan, product.repeats, c.threads());
  c.parallel(calls, [&](int64_t call) {
    void* scratch = worker_scratch(static_cast<int64_t>(plan.scratch_bytes));
    const int64_t end = tasks * (call + 1) / calls;
    for (int64_t task = tasks * call / calls; task < end;) {
      const int64_t repeat = task / plan.tasks;
      const int64_t first = task % plan.tasks;
      const int64_t last = std::min(plan.tasks, first + end - task);
      product.with_item(repeat,
                        [&](const Gemm<T>& one) { kernel.run(one, plan, scratch, first, last); });
      task += last - first;
    }
  });
}

inline double product_flops(const ForwardContext& c, int64_t inner) {
  return 2.0 * static_cast<double>(c.output().size()) * static_cast<double>(inner);
}

/// Returns A B, A' B, A B' or A' B', without copying the operands. Gradients use it, so that they
/// need no node for a transposed view.
Var product(const Var& a, const Var& b, bool transpose_a, bool transpose_b);

/// Reshapes [.., n] to [rows, n].
inline Var as_rows(const Var& x) {
  const Shape shape = x.shape();
  if (shape.rank() == 2) return x;
  const int64_t width = shape[-1];
  int64_t rows = 1;
  for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
  return reshape(x, {rows, width});
}

}  // namespace rapt::internal
