#include <fmt/format.h>

#include <algorithm>
#include <rapt/framework/error.hpp>
#include <rapt/ops/reduce.hpp>
#include <rapt/ops/shape.hpp>

namespace rapt {
namespace {

// The words of a reduction: its flags, then its axes.
constexpr int64_t keep_flag = 1, all_flag = 2;

/// Whether each axis of an array of this rank is reduced.
std::array<bool, max_rank> reduced_axes(std::span<const int64_t> words, int rank) {
  std::array<bool, max_rank> reduced{};
  if ((words[0] & all_flag) != 0) reduced.fill(true);
  for (const int64_t axis : words.subspan(1)) {
    reduced[static_cast<size_t>(from_front(axis, rank))] = true;
  }
  return reduced;
}

Shape reduced_shape(std::span<const int64_t> words, const Shape& shape, bool keepdims) {
  const auto reduced = reduced_axes(words, shape.rank());
  Shape result;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!reduced[static_cast<size_t>(i)]) {
      result.push_back(shape[i]);
    } else if (keepdims) {
      result.push_back(1);
    }
  }
  return result;
}

/// The output's shape, after a look at the axes.
Shape checked_shape(const ShapeContext& c) {
  const Shape& shape = c.input(0);
  const auto words = c.words();
  std::array<bool, max_rank> seen{};
  for (const int64_t word : words.subspan(1)) {
    const int axis = checked_axis(c, word, shape);
    if (seen[static_cast<size_t>(axis)]) c.fail(fmt::format("axis {} comes twice", axis));
    seen[static_cast<size_t>(axis)] = true;
  }
  return reduced_shape(words, shape, (words[0] & keep_flag) != 0);
}

Var reduce(const Op& op, const Arg& x, const Axes& axes, bool keepdims) {
  std::array<int64_t, max_rank + 1> words{(keepdims ? keep_flag : 0) |
                                          (axes.is_all() ? all_flag : 0)};
  std::copy(axes.begin(), axes.end(), words.begin() + 1);
  const auto count = static_cast<size_t>(1 + std::max(axes.size(), 0));
  return record(op, std::span(&x, 1), std::span<const int64_t>(words.data(), count));
}

/// A value of the output's shape, spread over the input's.
Var spread(GradientContext& c, const Var& value) {
  const Shape shape = c.input(0).shape();
  return broadcast_to(reshape(value, reduced_shape(c.words(), shape, true)), shape);
}

template <class T, class R>
void sum_all(const ForwardContext& c) {
  const TensorView& x = c.input(0);
  const int rank = x.shape.rank();
  const auto reduced = reduced_axes(c.words(), rank);
  Strides steps{};
  int64_t step = 1;
  for (int i = rank - 1; i >= 0; --i) {
    if (reduced[static_cast<size_t>(i)]) continue;
    steps[static_cast<size_t>(i)] = step;
    step *= x.shape[i];
  }
  R* y = c.output().as<R>();
  std::fill_n(y, c.output().size(), R{0});
  for (int64_t k = 0; k < x.size(); ++k) {
    int64_t rest = k, from = 0, to = 0;
    for (int i = rank - 1; i >= 0; --i) {
      const int64_t at = rest % x.shape[i];
      rest /= x.shape[i];
      from += at * x.strides[static_cast<size_t>(i)];
      to += at * steps[static_cast<size_t>(i)];
    }
    y[to] += static_cast<R>(x.as<const T>()[from]);
  }
}

void sum_forward(const ForwardContext& c) {
  switch (c.input(0).dtype) {
    case DType::float32:
      return sum_all<float, float>(c);
    case DType::float64:
      return sum_all<double, double>(c);
    case DType::int32:
      return sum_all<int32_t, int32_t>(c);
    case DType::boolean:
      return sum_all<uint8_t, int32_t>(c);
  }
}

// y = sum of x_i
const Op sum_op{
    .name = "sum",
    .shape =
        [](ShapeContext& c) {
          c.output(checked_shape(c), is_float(c.dtype()) ? c.dtype() : DType::int32);
        },
    .forward = &sum_forward,
    .gradient = [](GradientContext& c) { c.input_grad(0) = spread(c, c.output_grad()); },
    .strided = true};

}  // namespace

Var sum(const Arg& x, const Axes& axes, bool keepdims) { return reduce(sum_op, x, axes, keepdims); }

Var sum_to(const Arg& x, const Shape& shape) {
  const Var var = as_var(x);
  const Shape from = var.shape();
  if (from == shape) return var;
  Shape both;
  if (!broadcast(from, shape, both) || both != from) {
    throw Error(fmt::format("sum_to: {} does not broadcast to {}; at {}", to_string(shape),
                            to_string(from), to_string(x.where)));
  }
  std::array<int, max_rank> axes{};
  size_t count = 0;
  const int added = from.rank() - shape.rank();
  for (int i = 0; i < from.rank(); ++i) {
    if (i < added || (shape[i - added] == 1 && from[i] != 1)) axes[count++] = i;
  }
  const Var total = sum(Arg(var, x.where), Axes(std::span<const int>(axes.data(), count)));
  return reshape(Arg(total, x.where), shape);
}

}  // namespace rapt
