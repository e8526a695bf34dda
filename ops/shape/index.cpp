#include "ops/shape/index.hpp"

#include <fmt/format.h>

#include <vector>

#include "framework/core/error.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Returns the common shape of the inputs from `first` on, after broadcasting. Fails unless there
/// are `axes` of them.
Shape indices_shape(const ShapeContext& c, int first, int axes) {
  if (c.inputs() - first != axes) {
    c.fail(fmt::format("an array {} needs {} indices, got {}", to_string(c.input(0)), axes,
                       c.inputs() - first));
  }
  Shape shape;
  for (int i = first; i < c.inputs(); ++i) {
    if (c.dtype(i) == DType::boolean)
      c.fail("an index has to be int32 or float, it is boolean", ErrorKind::type);
    const Shape before = shape;
    if (!broadcast(before, c.input(i), shape)) {
      c.fail(fmt::format("indices do not broadcast: {} and {}", to_string(before),
                         to_string(c.input(i))));
    }
  }
  return shape;
}

/// Index array, read at any position of the shape that it broadcasts to.
struct Places {
  Places(const TensorView& view, const Shape& spread, int64_t axis_size, int64_t axis_stride)
      : data(view.data), dtype(view.dtype), last(axis_size - 1), stride(axis_stride) {
    const int skipped = spread.rank() - view.shape.rank();
    for (int i = 0; i < view.shape.rank(); ++i) {
      if (view.shape[i] != 1) {
        steps[static_cast<size_t>(i + skipped)] = view.strides[static_cast<size_t>(i)];
      }
    }
  }

  int64_t at(int64_t offset) const {
    return by_number_type(dtype, [&]<class T>() -> int64_t {
      const T index = static_cast<const T*>(data)[offset];
      if constexpr (std::is_same_v<T, int32_t>) {
        return std::clamp<int64_t>(index, 0, last) * stride;
      } else {
        return nearest(static_cast<double>(index)) * stride;
      }
    });
  }

  int64_t nearest(double x) const {
    if (!(x > 0)) return 0;  // also for NaN
    return static_cast<int64_t>(std::min(x, static_cast<double>(last)) + 0.5);
  }

  const void* data;
  DType dtype;
  int64_t last, stride;
  Strides steps{};
};

/// Calls body(n, offset in x) for the elements begin <= n < end of the indices' shape.
template <class Body>
void for_each_element(const ForwardContext& c, int first, const Shape& spread, const Shape& x,
                      const Strides& strides, int64_t begin, int64_t end, const Body& body) {
  Recycled<Places> places;
  for (int i = first; i < c.inputs(); ++i) {
    places.emplace_back(c.input(i), spread, x[i - first], strides[static_cast<size_t>(i - first)]);
  }
  for (int64_t n = begin; n < end; ++n) {
    std::array<int64_t, max_rank> at{};
    int64_t rest = n;
    for (int axis = spread.rank() - 1; axis >= 0; --axis) {
      at[static_cast<size_t>(axis)] = rest % spread[axis];
      rest /= spread[axis];
    }
    int64_t offset = 0;
    for (const Places& place : places) {
      int64_t from = 0;
      for (size_t axis = 0; axis < static_cast<size_t>(spread.rank()); ++axis) {
        from += at[axis] * place.steps[axis];
      }
      offset += place.at(from);
    }
    body(n, offset);
  }
}

/// Adds the gradient of each element at the position the element was read from. This is not split
/// into tasks: several elements may have the same position, and the order of addition affects the
/// result.
template <class T>
void add_elements(const ForwardContext& c) {
  const TensorView &g = c.input(1), &y = c.output();
  const auto add_to = [&](auto* sums) {
    for_each_element(c, 2, g.shape, y.shape, y.strides, 0, g.size(),
                     [&](int64_t n, int64_t offset) { sums[offset] += g.as<const T>()[n]; });
  };
  fill_zeros(c, y);
  // A long sum in float loses digits. Double is used unless the copy of y would be too expensive.
  constexpr int64_t often = 2048;
  if (sizeof(T) == 8 || g.size() <= often || g.size() < y.size() / 4) return add_to(y.as<T>());
  std::vector<double> sums(static_cast<size_t>(y.size()), 0);
  add_to(sums.data());
  for (int64_t i = 0; i < y.size(); ++i)
    y.as<T>()[i] = static_cast<T>(sums[static_cast<size_t>(i)]);
}

// Inputs: x, the gradients of the elements, and their indices. Output: the gradient of x.
constinit const Op element_grad_op{.name = "element_grad",
                                   .shape =
                                       [](ShapeContext& c) {
                                         const Shape x = c.input(0);
                                         indices_shape(c, 2, x.rank());
                                         return x;
                                       },
                                   .gradient =
                                       [](GradientContext& c) {
                                         Recycled<Arg> index;
                                         for (int i = 2; i < c.inputs(); ++i)
                                           index.emplace_back(c.input(i));
                                         c.input_grad(1) = element(c.output_grad(), index);
                                       },
                                   .cpu = {.forward = [](const ForwardContext& c) {
                                     by_float_type(c.output().dtype,
                                                   [&]<class T>() { add_elements<T>(c); });
                                   }}};

}  // namespace

// y[n] = x[i[n], j[n], ...]
constinit const Op element_op{
    .name = "element",
    .shape =
        [](ShapeContext& c) {
          const Shape& x = c.input(0);
          if (!is_float(c.dtype())) {
            c.fail(fmt::format("needs float32 or float64, got {}", name(c.dtype())),
                   ErrorKind::type);
          }
          if (x.size() == 0) c.fail(fmt::format("there is no element in {}", to_string(x)));
          return indices_shape(c, 1, x.rank());
        },
    .gradient =
        [](GradientContext& c) {
          if (!c.needs(0)) return;
          Recycled<Arg> inputs;
          inputs.emplace_back(c.input(0));
          inputs.emplace_back(c.output_grad());
          for (int i = 1; i < c.inputs(); ++i) inputs.emplace_back(c.input(i));
          c.input_grad(0) = record(element_grad_op, inputs);
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() {
                    const TensorView &x = c.input(0), &y = c.output();
                    over_ranges(c, y.size(), 8, [&](int64_t begin, int64_t end) {
                      for_each_element(c, 1, y.shape, x.shape, x.strides, begin, end,
                                       [&](int64_t n, int64_t offset) {
                                         y.as<T>()[n] = x.as<const T>()[offset];
                                       });
                    });
                  });
                },
            .strided_inputs = true}};

Var element(const Arg& x, std::span<const Arg> index) {
  const Var array = as_var(x);
  Recycled<Arg> inputs;
  inputs.emplace_back(array, x.where);
  for (const Arg& i : index) {
    inputs.emplace_back(i.on(array.graph(), i.is_number() ? DType::int32 : i.dtype()), i.where);
  }
  return record(element_op, inputs);
}

Indexed Indexed::operator[](const Arg& index) const {
  if (count_ == max_rank) {
    throw Error({.op = "index",
                 .detail = fmt::format("more than {} indices", max_rank),
                 .place = place_of(index.where)});
  }
  Indexed more = *this;
  const Var array = as_var(array_);
  more.array_ = Arg(array, index.where);
  more.index_[static_cast<size_t>(more.count_++)] =
      index.on(array.graph(), index.is_number() ? DType::int32 : index.dtype());
  return more;
}

Indexed::operator Var() const {
  Recycled<Arg> index;
  for (int i = 0; i < count_; ++i) index.emplace_back(index_[static_cast<size_t>(i)], array_.where);
  return element(array_, index);
}

Indexed::operator Arg() const { return {Var(*this), array_.where}; }

Indexed index_array(const Arg& array, const Arg& index) { return Indexed(array)[index]; }

}  // namespace v0
}  // namespace rapt
