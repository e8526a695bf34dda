#include "ops/shape/shape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/support/strided.hpp"

namespace rapt::internal {

// y = x
constinit const Op contiguous_op{
    .name = "contiguous",
    .shape = [](ShapeContext& c) { return c.input(0); },
    .gradient = [](GradientContext& c) { c.input_grad(0) = c.output_grad(); },
    .cpu = {.forward = [](const ForwardContext& c) { copy(c, c.input(0), c.output()); },
            .strided_inputs = true}};

}  // namespace rapt::internal

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Marks a view whose elements are those of its input, broadcast.
constexpr Op broadcasting(Op op) {
  op.traits.broadcasts = true;
  return op;
}

constinit const Op alias_op = broadcasting(view_op(
    "alias", [](ShapeContext& c) { c.view(Shape(c.input(0)), c.strides(0), 0); },
    [](GradientContext& c) { c.input_grad(0) = c.output_grad(); }));

// ---- reshape ------------------------------------------------------------------------------------

/// Returns the shape with -1 replaced by the missing size. Returns nothing if the shape does not
/// have `size` elements.
std::optional<Shape> resolve(std::span<const int64_t> dims, int64_t size) {
  if (dims.size() > static_cast<size_t>(max_rank)) return {};
  Shape shape;
  int open = -1;
  for (const int64_t dim : dims) {
    if (dim < -1 || (dim == -1 && open >= 0)) return {};
    if (dim == -1) open = shape.rank();
    shape.push_back(dim == -1 ? 1 : dim);
  }
  const int64_t given = shape.size();
  if (open >= 0) {
    if (given == 0) return {};
    shape[open] = size / given;
  }
  if (shape.size() != size) return {};
  return shape;
}

/// Returns the strides of an array viewed in another shape of the same size. Returns nothing if no
/// strides give that view.
std::optional<Strides> reshaped(const Shape& from, const Strides& strides, const Shape& to) {
  if (from.size() == 0) return contiguous_strides(to);
  std::array<int64_t, max_rank> dims, steps;  // without the axes of size 1
  size_t rank = 0;
  for (int i = 0; i < from.rank(); ++i) {
    if (from[i] == 1) continue;
    dims[rank] = from[i];
    steps[rank++] = strides[static_cast<size_t>(i)];
  }
  Strides result{};
  size_t old_begin = 0;
  int new_begin = 0;
  // Match groups of old axes with groups of new axes of the same size.
  while (old_begin < rank) {
    size_t old_end = old_begin + 1;
    int new_end = new_begin + 1;
    int64_t old_size = dims[old_begin], new_size = to[new_begin];
    while (old_size != new_size) {
      if (new_size < old_size) {
        new_size *= to[new_end++];
      } else {
        old_size *= dims[old_end++];
      }
    }
    for (size_t i = old_begin; i + 1 < old_end; ++i) {
      if (steps[i] != dims[i + 1] * steps[i + 1]) return {};
    }
    int64_t step = steps[old_end - 1];
    for (int i = new_end - 1; i >= new_begin; --i) {
      result[static_cast<size_t>(i)] = step;
      step *= to[i];
    }
    old_begin = old_end;
    new_begin = new_end;
  }
  for (int i = new_begin; i < to.rank(); ++i) result[static_cast<size_t>(i)] = 1;
  return result;
}

std::string text_of(std::span<const int64_t> dims) {
  std::string text;
  for (const int64_t dim : dims) text += fmt::format("{}{}", text.empty() ? "" : ", ", dim);
  return fmt::format("[{}]", text);
}

constinit const Op reshape_op = view_op(
    "reshape",
    [](ShapeContext& c) {
      const Shape from = c.input(0);
      const std::optional<Shape> to = resolve(c.words(), from.size());
      if (!to) {
        c.fail(fmt::format("{} does not have the elements of {}", to_string(from),
                           text_of(c.words())));
      }
      c.view(*to, *reshaped(from, c.strides(0), *to), 0);
    },
    [](GradientContext& c) { c.input_grad(0) = reshape(c.output_grad(), c.input(0).shape()); });

constinit const Op unsqueeze_op = view_op(
    "unsqueeze",
    [](ShapeContext& c) {
      const Shape from = c.input(0);
      const Strides strides = c.strides(0);
      const int64_t word = c.words()[0];
      if (word < -from.rank() - 1 || word > from.rank()) {
        c.fail(fmt::format("there is no place {} for an axis in {}", word, to_string(from)));
      }
      const int axis = from_front(word, from.rank() + 1);
      Shape to;
      Strides steps{};
      for (int i = 0; i <= from.rank(); ++i) {
        const int old = i < axis ? i : i - 1;
        to.push_back(i == axis ? 1 : from[old]);
        steps[static_cast<size_t>(i)] = i == axis ? 1 : strides[static_cast<size_t>(old)];
      }
      c.view(to, steps, 0);
    },
    [](GradientContext& c) { c.input_grad(0) = reshape(c.output_grad(), c.input(0).shape()); });

constinit const Op squeeze_op = view_op(
    "squeeze",
    [](ShapeContext& c) {
      const Shape from = c.input(0);
      const Strides strides = c.strides(0);
      const int axis = checked_axis(c, c.words()[0], from);
      if (from[axis] != 1) {
        c.fail(fmt::format("axis {} of {} has a size other than 1", axis, to_string(from)));
      }
      Shape to;
      Strides steps{};
      for (int i = 0; i < from.rank(); ++i) {
        if (i == axis) continue;
        steps[static_cast<size_t>(to.rank())] = strides[static_cast<size_t>(i)];
        to.push_back(from[i]);
      }
      c.view(to, steps, 0);
    },
    [](GradientContext& c) { c.input_grad(0) = reshape(c.output_grad(), c.input(0).shape()); });

// ---- broadcast_to, permute ----------------------------------------------------------------------

// y[i, j, ...] = x[..., 0 in an axis of size 1, ...]
constinit const Op broadcast_to_op = broadcasting(view_op(
    "broadcast_to",
    [](ShapeContext& c) {
      const Shape from = c.input(0);
      const Strides strides = c.strides(0);
      const Shape to(c.words());
      Shape both;
      if (!broadcast(from, to, both) || both != to) {
        c.fail(fmt::format("{} does not broadcast to {}", to_string(from), to_string(to)));
      }
      Strides steps{};
      const int added = to.rank() - from.rank();
      for (int i = 0; i < from.rank(); ++i) {
        if (from[i] != to[i + added]) continue;
        steps[static_cast<size_t>(i + added)] = strides[static_cast<size_t>(i)];
      }
      c.view(to, steps, 0);
    },
    // The engine sums the gradient over the broadcast axes.
    [](GradientContext& c) { c.input_grad(0) = c.output_grad(); }));

/// Sets the shape and strides with the axes in the order of the words.
void permute_shape(ShapeContext& c) {
  const Shape from = c.input(0);
  const Strides strides = c.strides(0);
  const auto words = c.words();
  Shape to;
  Strides steps{};
  std::array<bool, max_rank> seen{};
  bool each_once = words.size() == static_cast<size_t>(from.rank());
  for (size_t i = 0; each_once && i < words.size(); ++i) {
    const auto axis = static_cast<size_t>(checked_axis(c, words[i], from));
    each_once = !seen[axis];
    seen[axis] = true;
    to.push_back(from[static_cast<int>(axis)]);
    steps[i] = strides[axis];
  }
  if (!each_once) {
    c.fail(fmt::format("{} does not name each axis of {} once", text_of(words), to_string(from)));
  }
  c.view(to, steps, 0);
}

// y's axis i is x's axis words[i]
constinit const Op permute_op = view_op("permute", &permute_shape, [](GradientContext& c) {
  const auto words = c.words();
  std::array<int, max_rank> back{};
  for (size_t i = 0; i < words.size(); ++i) {
    back[static_cast<size_t>(from_front(words[i], static_cast<int>(words.size())))] =
        static_cast<int>(i);
  }
  c.input_grad(0) = permute(c.output_grad(), Axes(std::span(back.data(), words.size())));
});

struct TransposeAttributes {
  int64_t a, b;
};

constinit const Op transpose_op = view_op(
    "transpose",
    [](ShapeContext& c) {
      Shape shape = c.input(0);
      Strides strides = c.strides(0);
      const auto [word_a, word_b] = c.attributes<TransposeAttributes>();
      const int a = checked_axis(c, word_a, shape), b = checked_axis(c, word_b, shape);
      std::swap(shape[a], shape[b]);
      std::swap(strides[static_cast<size_t>(a)], strides[static_cast<size_t>(b)]);
      c.view(shape, strides, 0);
    },
    [](GradientContext& c) {
      const auto [a, b] = c.attributes<TransposeAttributes>();
      c.input_grad(0) = transpose(c.output_grad(), static_cast<int>(a), static_cast<int>(b));
    });

}  // namespace

// ---- public functions ---------------------------------------------------------------------------

Var contiguous(const Arg& x) {
  const Var var = as_var(x);
  Graph& graph = var.graph();
  const Value& value = graph.values[var.id()];
  if (is_contiguous(value.shape, graph.strides_of(value))) return var;
  return graph.contiguous(var);
}

Var reshape(const Arg& x, std::span<const int64_t> dims) {
  Var var = as_var(x);
  const Graph& graph = var.graph();
  const Value& value = graph.values[var.id()];
  const std::optional<Shape> shape = resolve(dims, value.shape.size());
  if (shape && !reshaped(value.shape, graph.strides_of(value), *shape)) var = contiguous(var);
  const Arg operand(var, x.where);
  return record(reshape_op, std::span(&operand, 1), dims);
}

Var broadcast_to(const Arg& x, const Shape& shape) {
  return record(broadcast_to_op, std::span(&x, 1),
                std::span<const int64_t>(shape.begin(), shape.end()));
}

Var permute(const Arg& x, const Axes& axes) {
  std::array<int64_t, max_rank> words{};
  std::copy(axes.begin(), axes.end(), words.begin());
  return record(permute_op, std::span(&x, 1),
                std::span<const int64_t>(words.data(), static_cast<size_t>(axes.size())));
}

Var transpose(const Arg& x, int axis_a, int axis_b) {
  return record(transpose_op, {x}, TransposeAttributes{axis_a, axis_b});
}

Var transpose(const Arg& x) { return transpose(x, -2, -1); }

Var unsqueeze(const Arg& x, int axis) {
  const int64_t word = axis;
  return record(unsqueeze_op, std::span(&x, 1), std::span(&word, 1));
}

Var squeeze(const Arg& x, int axis) {
  const int64_t word = axis;
  return record(squeeze_op, std::span(&x, 1), std::span(&word, 1));
}

Var alias(const Arg& x) { return record(alias_op, {x}); }

}  // namespace v0
}  // namespace rapt
