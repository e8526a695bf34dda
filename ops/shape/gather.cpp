#include "ops/shape/gather.hpp"

#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Checks the shapes and types of x (input 0) and the index (input 1) for gather and scatter_add.
void check_index(const ShapeContext& c) {
  const Shape& x = c.input(0);
  const Shape& index = c.input(1);
  if (c.dtype(1) != DType::int32) {
    c.fail(fmt::format("the index has to be int32, it is {}", name(c.dtype(1))), ErrorKind::type);
  }
  const int axis = checked_axis(c, c.words()[0], x);
  bool fits = index.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == axis || index[i] <= x[i];
  if (!fits) {
    c.fail(fmt::format("an index {} reaches beyond {} in other axes than {}", to_string(index),
                       to_string(x), axis));
  }
}

/// Returns the strides with that of `axis` set to 0. Along all other axes, the position in the
/// indexed array follows the position in the index.
Strides without(Strides strides, int axis) {
  strides[static_cast<size_t>(axis)] = 0;
  return strides;
}

int64_t checked_index(int32_t index, int64_t size) {
  if (index < 0 || index >= size) {
    throw Error(fmt::format("the index {} is outside of an axis of {}", index, size));
  }
  return index;
}

/// Calls body(offset in the indexed array, offset in the other array, elements) for runs of
/// elements with one index. A run is a whole row if the axis is not the last and the index is
/// broadcast along the last. Otherwise it is a single element.
template <class Body>
void for_each_run(const TensorView& indexed, const TensorView& index, const TensorView& other,
                  int axis, Body&& body) {
  const int64_t n = row_length(index.shape);
  const int64_t step = indexed.strides[static_cast<size_t>(axis)];
  const int64_t size = indexed.shape[axis];
  const Strides walk = without(indexed.strides, axis);
  const int64_t index_step = row_stride(index.shape, index.strides);
  const int64_t walk_step = row_stride(index.shape, walk);
  const int64_t other_step = row_stride(other.shape, other.strides);
  const bool rows = index_step == 0 && walk_step == 1 && other_step == 1;
  for_each_row<3>(index.shape, {index.strides, walk, other.strides}, [&](const auto& offsets) {
    const int32_t* at = index.as<const int32_t>() + offsets[0];
    if (rows) return body(offsets[1] + checked_index(*at, size) * step, offsets[2], n);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t place = checked_index(at[i * index_step], size) * step;
      body(offsets[1] + i * walk_step + place, offsets[2] + i * other_step, int64_t{1});
    }
  });
}

/// Returns the part of the indexed array that belongs to a part of the index. The axis itself is
/// never cut.
TensorView part_beside(const TensorView& view, const Shape& index, const Cut& cut, int64_t part,
                       int axis) {
  if (cut.parts == 1 || cut.axis == axis) return view;
  TensorView cropped = view;
  cropped.shape[cut.axis] = index[cut.axis];
  return part_of(cropped, cut, part);
}

template <class T>
void gather_elements(const ForwardContext& c, int axis) {
  const TensorView& index = c.input(1);
  const Cut cut = cut_of(index.shape);
  c.parallel(cut.parts, [&](int64_t part) {
    const TensorView x = part_beside(c.input(0), index.shape, cut, part, axis);
    const TensorView y = part_of(c.output(), cut, part);
    for_each_run(x, part_of(index, cut, part), y, axis, [&](int64_t from, int64_t to, int64_t n) {
      const T* source = x.as<const T>() + from;
      T* target = y.as<T>() + to;
      if (n == 1) {
        *target = *source;
      } else {
        std::memcpy(target, source, static_cast<size_t>(n) * sizeof(T));
      }
    });
  });
}

template <class T>
T sum_of(T a, T b) {
  if constexpr (std::is_same_v<T, int32_t>) {  // modulo 2^32; overflow of int32 is undefined
    return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
  } else {
    return a + b;
  }
}

/// True if floats are to be summed in double. That is the case if many addends may meet at one
/// position, because a long sum loses digits. It is not done if the copy of y would dominate the
/// time.
bool in_double(const Shape& index, int axis, const TensorView& y) {
  constexpr int64_t often = 2048;
  return y.dtype == DType::float32 && index[axis] > often && index.size() >= y.size() / 4;
}

template <class T>
void scatter_elements(const ForwardContext& c, int axis) {
  const TensorView& index = c.input(1);
  // Never cut along the axis, so that one task adds all addends of a position, in order.
  const Cut cut = cut_of(index.shape, axis);
  const auto add_all = [&]<class Sum>(const TensorView& sums, Sum*) {
    c.parallel(cut.parts, [&](int64_t part) {
      const TensorView y = part_beside(sums, index.shape, cut, part, axis);
      const TensorView source = part_of(c.input(2), cut, part);
      for_each_run(y, part_of(index, cut, part), source, axis,
                   [&](int64_t to, int64_t from, int64_t n) {
                     const T* addend = source.as<const T>() + from;
                     Sum* target = y.as<Sum>() + to;
                     for (int64_t i = 0; i < n; ++i) target[i] = sum_of(target[i], Sum(addend[i]));
                   });
    });
  };
  const TensorView& y = c.output();
  if (!in_double(index.shape, axis, y)) return add_all(y, static_cast<T*>(nullptr));
  std::vector<double> sums(y.as<const T>(), y.as<const T>() + y.size());
  add_all({sums.data(), DType::float64, y.shape, y.strides}, static_cast<double*>(nullptr));
  std::copy(sums.begin(), sums.end(), y.as<T>());
}

// y[.., i, ..] = x[.., index[.., i, ..], ..]
constinit const Op gather_op{
    .name = "gather",
    .shape =
        [](ShapeContext& c) {
          check_index(c);
          return c.input(1);
        },
    .gradient =
        [](GradientContext& c) {
          const Var x = c.input(0), index = c.input(1);
          const Var zero = x.graph().constant(0, x.dtype(), SourceLocation::current());
          c.input_grad(0) = scatter_add(broadcast_to(zero, x.shape()),
                                        static_cast<int>(c.words()[0]), index, c.output_grad());
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  const int axis = from_front(c.words()[0], c.output().shape.rank());
                  // Elements are moved, whatever they are: one code for each size.
                  by_element_type(c.output().dtype, [&]<class T>() {
                    static_assert(sizeof(T) == 1 || sizeof(T) == 4 || sizeof(T) == 8);
                    using Wide = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
                    gather_elements<std::conditional_t<sizeof(T) == 1, uint8_t, Wide>>(c, axis);
                  });
                },
            .strided_inputs = true}};

// y = x, then y[.., index[.., i, ..], ..] += source[.., i, ..]
constinit const Op scatter_add_op{
    .name = "scatter_add",
    .shape =
        [](ShapeContext& c) {
          check_index(c);
          if (c.input(2) != c.input(1)) {
            c.fail(fmt::format("the source {} has not the index's shape {}", to_string(c.input(2)),
                               to_string(c.input(1))));
          }
          if (c.dtype(2) != c.dtype(0)) {
            c.fail(fmt::format("types differ: {} and {}", name(c.dtype(0)), name(c.dtype(2))),
                   ErrorKind::type);
          }
          if (c.dtype(0) == DType::boolean)
            c.fail("expected numbers, got boolean", ErrorKind::type);
          return c.input(0);
        },
    .gradient =
        [](GradientContext& c) {
          c.input_grad(0) = c.output_grad();
          if (c.needs(2)) {
            c.input_grad(2) = gather(c.output_grad(), static_cast<int>(c.words()[0]), c.input(1));
          }
        },
    .traits = {.in_place = 1},
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  const int axis = from_front(c.words()[0], c.output().shape.rank());
                  if (c.input(0).data != c.output().data) copy(c, c.input(0), c.output());
                  by_number_type(c.output().dtype,
                                 [&]<class T>() { scatter_elements<T>(c, axis); });
                },
            .strided_inputs = true}};

}  // namespace

Var gather(const Arg& x, int axis, const Arg& index) {
  const int64_t word = axis;
  const Arg operands[] = {x, index};
  return record(gather_op, operands, std::span(&word, 1));
}

Var scatter_add(const Arg& x, int axis, const Arg& index, const Arg& source) {
  const int64_t word = axis;
  const Arg operands[] = {x, index, source};
  return record(scatter_add_op, operands, std::span(&word, 1));
}

Var take(const Arg& x, const Arg& index, int axis) {
  const Arg array(as_var(x), x.where);
  const Shape from = as_var(array).shape();
  const Var places = index.on(as_var(array).graph(), DType::int32);
  const Shape named = places.shape();
  const int at = checked_axis("take", axis, from, x.where);
  Shape flat, spread = from, result;
  for (int i = 0; i < from.rank(); ++i) {
    flat.push_back(i == at ? named.size() : 1);
    if (i != at) {
      result.push_back(from[i]);
      continue;
    }
    spread[i] = named.size();
    for (const int64_t dim : named) result.push_back(dim);
  }
  const Var lined_up = broadcast_to(Arg(reshape(Arg(places, x.where), flat), x.where), spread);
  return reshape(Arg(gather(array, at, Arg(lined_up, x.where)), x.where), result);
}

Var one_hot(const Arg& index, int64_t depth, DType dtype) {
  const Arg places(as_var(index), index.where);
  if (as_var(places).dtype() != DType::int32 || depth < 0) {
    fail("one_hot",
         fmt::format("expected an int32 index and a depth of at least 0, got {} and {}",
                     name(as_var(places).dtype()), depth),
         index.where, depth < 0 ? ErrorKind::usage : ErrorKind::type);
  }
  if (depth - 1 > std::numeric_limits<int32_t>::max()) {
    fail("one_hot", fmt::format("the depth {} is more than int32 can count", depth), index.where,
         ErrorKind::usage);
  }
  Tensor range({depth}, DType::int32);
  std::iota(range.data<int32_t>().begin(), range.data<int32_t>().end(), 0);
  const Var hit = eq(Arg(unsqueeze(places, -1), index.where), Arg(range, index.where));
  return cast(Arg(hit, index.where), dtype);
}

}  // namespace v0
}  // namespace rapt
