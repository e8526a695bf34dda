// Division of arrays into pieces, and concatenation of pieces.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Largest number of inputs of a node.
constexpr size_t max_pieces = 65535;

/// Position of a piece in a larger array: element i along `axis` is at start + i * step.
struct Place {
  int64_t axis, start, step;
};
constexpr size_t place_words = 3;

/// Returns the place of a piece from the words of unslice. The places follow the target's
/// dimensions.
Place place_of(std::span<const int64_t> words, int rank, int piece) {
  const size_t at = static_cast<size_t>(rank) + place_words * static_cast<size_t>(piece);
  return {words[at], words[at + 1], words[at + 2]};
}

Layout layout_at(const TensorView& whole, const Place& place) {
  const auto axis = static_cast<size_t>(place.axis);
  Layout layout{whole.strides, place.start * whole.strides[axis]};
  layout.strides[axis] *= place.step;
  return layout;
}

TensorView view_at(const TensorView& whole, const Shape& piece, const Place& place) {
  const Layout layout = layout_at(whole, place);
  return {static_cast<char*>(whole.data) + layout.offset * size_of(whole.dtype), whole.dtype, piece,
          layout.strides};
}

// ---- the gradient of slices ---------------------------------------------------------------------

/// Coverage of the target by the pieces. Each position belongs to exactly one piece, to at most
/// one, or to several.
enum class Cover { tiles, apart, overlaps };

Cover cover_of(const ForwardContext& c) {
  const Shape& target = c.output().shape;
  const int axis = static_cast<int>(place_of(c.words(), target.rank(), 0).axis);
  Recycled<bool> seen(static_cast<size_t>(target[axis]), false);
  int64_t count = 0;
  for (int i = 0; i < c.inputs(); ++i) {
    const Place place = place_of(c.words(), target.rank(), i);
    if (place.axis != axis) return Cover::overlaps;
    for (int64_t k = 0; k < c.input(i).shape[axis]; ++k) {
      const auto at = static_cast<size_t>(place.start + k * place.step);
      if (seen[at]) return Cover::overlaps;
      seen[at] = true;
      ++count;
    }
  }
  return count == target[axis] ? Cover::tiles : Cover::apart;
}

void unslice_forward(const ForwardContext& c) {
  const TensorView& y = c.output();
  const Cover cover = cover_of(c);
  if (cover != Cover::tiles) fill_zeros(c, y);
  const auto place = [&](int i) {
    return view_at(y, c.input(i).shape, place_of(c.words(), y.shape.rank(), i));
  };
  if (cover != Cover::overlaps) return copy_inputs(c, place);
  for (int i = 0; i < c.inputs(); ++i) accumulate(c, c.input(i), place(i));
}

Var sum_of_unslices(std::span<const Var> results);
constexpr SumRule sum_of_pieces{.applies = [](const Var&) { return true; }, .sum = sum_of_unslices};

// y = 0, then y[place of piece i] += x_i for every i. Words: y's dimensions, then one Place per
// piece.
constinit const Op unslice_op{
    .name = "unslice",
    .shape =
        [](ShapeContext& c) {
          return Shape(c.words().first(static_cast<size_t>(c.input(0).rank())));
        },
    .gradient =
        [](GradientContext& c) {
          for (int i = 0; i < c.inputs(); ++i) {
            if (!c.needs(i)) continue;
            const auto [axis, start, step] = place_of(c.words(), c.output().rank(), i);
            const int64_t n = c.input(i).size(static_cast<int>(axis));
            const int64_t end = n == 0 ? start : start + (n - 1) * step + 1;
            c.input_grad(i) = slice(c.output_grad(), static_cast<int>(axis), start, end, step);
          }
        },
    .sum_rule = &sum_of_pieces,
    .cpu = {.forward = &unslice_forward,
            .strided_inputs = true,
            .piece_of_output = [](const ForwardContext& c, int i) -> std::optional<Layout> {
              if (cover_of(c) != Cover::tiles) return {};
              return layout_at(c.output(), place_of(c.words(), c.output().shape.rank(), i));
            }}};

// One node writes the pieces of several.
Var sum_of_unslices(std::span<const Var> results) {
  Graph& graph = results.front().graph();
  const Shape shape = results.front().shape();
  Recycled<Arg> pieces;
  Recycled<int64_t> words(shape.begin(), shape.end());
  Var total;
  const auto put_together = [&] {
    const Var part = record(unslice_op, pieces, words);
    total = total.is_empty() ? part : total + part;
    pieces.clear();
    words.resize(static_cast<size_t>(shape.rank()));
  };
  for (const Var& result : results) {
    const Node node = graph.nodes[graph.values[result.id()].node];
    if (pieces.size() + node.inputs > max_pieces) put_together();
    for (const ValueId id : graph.inputs_of(node)) pieces.emplace_back(Var(graph, id), node.where);
    const auto places = graph.words_of(node).subspan(static_cast<size_t>(shape.rank()));
    words.insert(words.end(), places.begin(), places.end());
  }
  put_together();
  return total;
}

// ---- slice --------------------------------------------------------------------------------------

struct SliceAttributes {
  int64_t axis, begin, end, step;
};

struct Range {
  int64_t begin, end;
};

Range range_of(const SliceAttributes& a, int64_t size) {
  return {a.begin < 0 ? a.begin + size : a.begin, a.end == to_end ? size
                                                  : a.end < 0     ? a.end + size
                                                                  : a.end};
}

// y[i] = x[begin + i step] along the axis
constinit const Op slice_op = view_op(
    "slice",
    [](ShapeContext& c) {
      const auto a = c.attributes<SliceAttributes>();
      Shape shape = c.input(0);
      Strides strides = c.strides(0);
      const int axis = checked_axis(c, a.axis, shape);
      const auto [begin, end] = range_of(a, shape[axis]);
      if (begin < 0 || end < begin || end > shape[axis]) {
        c.fail(fmt::format("from {} to {} is not inside axis {} of {}", a.begin,
                           a.end == to_end ? shape[axis] : a.end, axis, to_string(shape)));
      }
      if (a.step < 1)
        c.fail(fmt::format("the step has to be at least 1, it is {}", a.step), ErrorKind::usage);
      const int64_t stride = strides[static_cast<size_t>(axis)];
      shape[axis] = end == begin ? 0 : (end - begin - 1) / a.step + 1;
      strides[static_cast<size_t>(axis)] = shape[axis] < 2 ? stride : stride * a.step;
      c.view(shape, strides, shape.size() == 0 ? 0 : begin * stride);
    },
    [](GradientContext& c) {
      const auto a = c.attributes<SliceAttributes>();
      const Shape shape = c.input(0).shape();
      const int axis = from_front(a.axis, shape.rank());
      std::array<int64_t, max_rank + place_words> words{};
      auto* next = std::copy(shape.begin(), shape.end(), words.begin());
      *next++ = axis;
      *next++ = range_of(a, shape[axis]).begin;
      *next++ = a.step;
      const Arg piece = c.output_grad();
      c.input_grad(0) =
          record(unslice_op, std::span(&piece, 1), std::span<const int64_t>(words.begin(), next));
    });

// ---- concat, flip -------------------------------------------------------------------------------

void concat_shape(ShapeContext& c) {
  Shape shape = c.input(0);
  const int axis = checked_axis(c, c.words()[0], shape);
  for (int i = 1; i < c.inputs(); ++i) {
    Shape other = c.input(i);
    bool fits = other.rank() == shape.rank();
    for (int k = 0; fits && k < shape.rank(); ++k) fits = k == axis || other[k] == shape[k];
    if (!fits) {
      c.fail(fmt::format("{} and {} differ in more than axis {}", to_string(c.input(0)),
                         to_string(other), axis));
    }
    if (c.dtype(i) != c.dtype(0)) {
      c.fail(fmt::format("types differ: {} and {}", name(c.dtype(0)), name(c.dtype(i))),
             ErrorKind::type);
    }
    shape[axis] += other[axis];
  }
  c.output(shape, c.dtype(0));
}

// y = x_0, then x_1, ... along the axis
constinit const Op concat_op{
    .name = "concat",
    .shape = &concat_shape,
    .gradient =
        [](GradientContext& c) {
          const auto axis = static_cast<int>(c.words()[0]);
          int64_t start = 0;
          for (int i = 0; i < c.inputs(); ++i) {
            const int64_t end = start + c.input(i).size(axis);
            if (c.needs(i)) c.input_grad(i) = slice(c.output_grad(), axis, start, end);
            start = end;
          }
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  const int axis = from_front(c.words()[0], c.output().shape.rank());
                  Recycled<int64_t> starts(static_cast<size_t>(c.inputs()), 0);
                  for (int i = 1; i < c.inputs(); ++i) {
                    starts[static_cast<size_t>(i)] =
                        starts[static_cast<size_t>(i) - 1] + c.input(i - 1).shape[axis];
                  }
                  copy_inputs(c, [&](int i) {
                    return view_at(c.output(), c.input(i).shape,
                                   {axis, starts[static_cast<size_t>(i)], 1});
                  });
                },
            .strided_inputs = true}};

// y[i] = x[n - 1 - i] along the axes of the words
constinit const Op flip_op{.name = "flip",
                           .shape =
                               [](ShapeContext& c) {
                                 check_axes(c, c.words(), c.input(0));
                                 return c.input(0);
                               },
                           .gradient =
                               [](GradientContext& c) {
                                 const Arg g = c.output_grad();
                                 c.input_grad(0) = record(flip_op, std::span(&g, 1), c.words());
                               },
                           .cpu = {.forward =
                                       [](const ForwardContext& c) {
                                         // Reversed axes are read with negative strides. Other
                                         // operators never see these, because of this copy.
                                         TensorView x = c.input(0);
                                         if (x.size() == 0) return;
                                         const auto flipped =
                                             marked_axes(c.words(), x.shape.rank());
                                         int64_t offset = 0;
                                         for (int i = 0; i < x.shape.rank(); ++i) {
                                           int64_t& stride = x.strides[static_cast<size_t>(i)];
                                           if (!flipped[static_cast<size_t>(i)]) continue;
                                           offset += (x.shape[i] - 1) * stride;
                                           stride = -stride;
                                         }
                                         x.data = x.as<char>() + offset * size_of(x.dtype);
                                         copy(c, x, c.output());
                                       },
                                   .strided_inputs = true}};

Recycled<Arg> args_of(std::span<const Var> vars, SourceLocation where) {
  Recycled<Arg> args;
  args.reserve(vars.size());
  for (const Var& var : vars) args.emplace_back(var, where);
  return args;
}

const Arg& first_of(std::string_view op, std::span<const Arg> arrays, SourceLocation here) {
  if (arrays.empty()) fail(op, "there has to be at least one array", here, ErrorKind::usage);
  if (arrays.size() > max_pieces) {
    fail(op, fmt::format("{} arrays are more than {}", arrays.size(), max_pieces),
         arrays.front().where, ErrorKind::usage);
  }
  return arrays.front();
}

}  // namespace

Var slice(const Arg& x, int axis, int64_t begin, int64_t end, int64_t step) {
  return record(slice_op, {x}, SliceAttributes{axis, begin, end, step});
}

Var select(const Arg& x, int axis, int64_t index) {
  const Var one = slice(x, axis, index, index == -1 ? to_end : index + 1);
  return squeeze(Arg(one, x.where), axis);
}

std::vector<Var> split(const Arg& x, std::span<const int64_t> sizes, int axis) {
  const Arg whole(as_var(x), x.where);
  const int64_t all = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const Shape shape = as_var(whole).shape();
  if (all != shape[checked_axis("split", axis, shape, x.where)]) {
    fail("split",
         fmt::format("the pieces have {} places along axis {} of {}", all, axis, to_string(shape)),
         x.where);
  }
  std::vector<Var> pieces;
  pieces.reserve(sizes.size());
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    pieces.push_back(slice(whole, axis, begin, begin + size));
    begin += size;
  }
  return pieces;
}

std::vector<Var> split(const Arg& x, int64_t sections, int axis) {
  const Var whole = as_var(x);
  const Shape shape = whole.shape();
  const int64_t size = shape[checked_axis("split", axis, shape, x.where)];
  if (sections < 1 || size % sections != 0) {
    fail("split",
         fmt::format("axis {} of {} does not fall into {} equal pieces", axis, to_string(shape),
                     sections),
         x.where);
  }
  const std::vector<int64_t> sizes(static_cast<size_t>(sections), size / sections);
  return split(Arg(whole, x.where), sizes, axis);
}

std::vector<Var> split(const Arg& x, std::initializer_list<int64_t> sizes, int axis) {
  return split(x, std::span(sizes.begin(), sizes.size()), axis);
}

Var concat(std::span<const Arg> arrays, int axis, SourceLocation here) {
  first_of("concat", arrays, here);
  const int64_t word = axis;
  return record(concat_op, arrays, std::span(&word, 1));
}

Var stack(std::span<const Arg> arrays, int axis, SourceLocation here) {
  const Shape shape = as_var(first_of("stack", arrays, here)).shape();
  Recycled<Arg> raised;
  raised.reserve(arrays.size());
  for (const Arg& array : arrays) {
    const Var one = as_var(array);
    if (one.shape() != shape) {
      fail("stack",
           fmt::format("shapes differ: {} and {}", to_string(shape), to_string(one.shape())),
           array.where);
    }
    raised.emplace_back(unsqueeze(Arg(one, array.where), axis), array.where);
  }
  return concat(raised, axis, here);
}

Var concat(std::initializer_list<Arg> arrays, int axis, SourceLocation here) {
  return concat(std::span(arrays.begin(), arrays.size()), axis, here);
}

Var concat(std::span<const Var> arrays, int axis, SourceLocation here) {
  return concat(args_of(arrays, here), axis, here);
}

Var stack(std::initializer_list<Arg> arrays, int axis, SourceLocation here) {
  return stack(std::span(arrays.begin(), arrays.size()), axis, here);
}

Var stack(std::span<const Var> arrays, int axis, SourceLocation here) {
  return stack(args_of(arrays, here), axis, here);
}

Var flip(const Arg& x, const Axes& axes) {
  std::array<int64_t, max_rank> words{};
  const size_t count = put_axes(axes, x, words.data());
  return record(flip_op, std::span(&x, 1), std::span<const int64_t>(words.data(), count));
}

}  // namespace v0
}  // namespace rapt
