#include "ops/kernels/attention/rotary.hpp"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "ops/attention/rotary.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct RotaryAttributes {
  int64_t inverse;
};

template <class T>
const kernels::RotaryFunctions<T>& rotary_kernels() {
  return kernels::kernels_for<kernels::RotaryKernels, T>();
}

void rotary_shape(ShapeContext& c) {
  const Shape &x = c.input(0), &table = c.input(1);
  if (!is_float(c.dtype(0)) || c.dtype(1) != c.dtype(0)) {
    c.fail(fmt::format("expected operands of one float type, got {} and a table of {}",
                       name(c.dtype(0)), name(c.dtype(1))),
           ErrorKind::type);
  }
  if (x.rank() < 3 || table.rank() != 2 || x[-1] != table[1] || x[-1] % 2 != 0) {
    c.fail(fmt::format("expected x [B, T, .., D] and a table [L, D] with an even D, got {} and {}",
                       to_string(x), to_string(table)));
  }
  if (x[1] > table[0]) {
    c.fail(fmt::format("{} places in {}, the table has {}", x[1], to_string(x), table[0]));
  }
  if (c.inputs() > 2) {
    const Shape& first = c.input(2);
    if (c.dtype(2) != DType::int32 || first.rank() != 1 || (first[0] != x[0] && first[0] != 1)) {
      c.fail(fmt::format("expected the first places int32 [B] or [1] for {}, got {} {}",
                         to_string(x), name(c.dtype(2)), to_string(first)),
             c.dtype(2) == DType::int32 ? ErrorKind::shape : ErrorKind::type);
    }
  }
  c.output(Shape(x), c.dtype(0));
}

/// Returns the position of the first row of each sentence.
std::vector<int64_t> first_places(const ForwardContext& c) {
  const int64_t batch = c.input(0).shape[0], length = c.input(0).shape[1];
  const int64_t room = c.input(1).shape[0];
  std::vector<int64_t> first(static_cast<size_t>(batch), 0);
  if (c.inputs() < 3) return first;
  const auto* given = c.input(2).as<const int32_t>();
  const bool shared = c.input(2).shape[0] == 1;
  for (size_t b = 0; b < first.size(); ++b) {
    first[b] = given[shared ? 0 : b];
    if (first[b] < 0 || first[b] + length > room) {
      throw Error(fmt::format("places {} .. {} of sentence {} are outside a table of {}", first[b],
                              first[b] + length - 1, b, room));
    }
  }
  return first;
}

/// Layouts of the rows at one position, [.., D], in input and output: all axes after B and T. The
/// kernel iterates over the last but one of them.
struct RowsAtPlace {
  Shape outer{1};  // its last axis has size 1
  Strides x{}, y{};
  int64_t rows = 1, x_row = 0, y_row = 0;

  RowsAtPlace(const TensorView& from, const TensorView& to) {
    const int rank = from.shape.rank();
    if (rank == 3) return;
    const auto inner = static_cast<size_t>(rank - 2);
    rows = from.shape[rank - 2];
    x_row = from.strides[inner];
    y_row = to.strides[inner];
    outer = Shape{};
    for (int axis = 2; axis < rank - 2; ++axis) {
      const auto at = static_cast<size_t>(axis);
      x[at - 2] = from.strides[at];
      y[at - 2] = to.strides[at];
      outer.push_back(from.shape[axis]);
    }
    outer.push_back(1);
  }
};

template <class T>
void rotate(const ForwardContext& c) {
  const TensorView &x = c.input(0), &y = c.output();
  const int64_t batch = x.shape[0], length = x.shape[1], depth = x.shape[-1];
  if (y.size() == 0) return;
  const std::vector<int64_t> first = first_places(c);
  const RowsAtPlace at(x, y);
  const bool inverse = c.attributes<RotaryAttributes>().inverse != 0;
  const T* table = c.input(1).as<const T>();
  over_ranges(c, batch * length, y.size() / (batch * length), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / length, t = i % length;
      const T* angles = table + (first[static_cast<size_t>(b)] + t) * depth;
      kernels::Rotation<T> rotation{.x = x.as<const T>() + b * x.strides[0] + t * x.strides[1],
                                    .y = y.as<T>() + b * y.strides[0] + t * y.strides[1],
                                    .cosines = angles,
                                    .sines = angles + depth / 2,
                                    .half = depth / 2,
                                    .rows = at.rows,
                                    .x_row = at.x_row,
                                    .y_row = at.y_row,
                                    .inverse = inverse};
      const T* x0 = rotation.x;
      T* y0 = rotation.y;
      for_each_row(at.outer, std::array{at.x, at.y}, [&](const std::array<int64_t, 2>& offsets) {
        rotation.x = x0 + offsets[0];
        rotation.y = y0 + offsets[1];
        rotary_kernels<T>().rotate(rotation);
      });
    }
  });
}

extern const Op rotary_op;

Var record_rotary(const Arg& x, const Arg& table, const Arg& first, bool inverse) {
  std::vector<Arg> inputs;
  inputs.emplace_back(dense_rows(as_var(x)), x.where);
  inputs.emplace_back(contiguous(table), table.where);
  if (!first.is_empty()) inputs.emplace_back(contiguous(first), first.where);
  return record(rotary_op, inputs, RotaryAttributes{inverse ? 1 : 0});
}

// Inputs: x, table, and optionally first. Each row is y = R x with a rotation R. The transpose of R
// is its inverse, so dx = R^-1 dy.
constinit const Op rotary_op{
    .name = "rotary",
    .shape = rotary_shape,
    .gradient =
        [](GradientContext& c) {
          const bool inverse = c.attributes<RotaryAttributes>().inverse != 0;
          c.input_grad(0) = record_rotary(c.output_grad(), c.input(1),
                                          c.inputs() > 2 ? c.input(2) : Var(), !inverse);
        },
    .traits = {.in_place = 1},
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  by_float_type(c.output().dtype, [&]<class T>() { rotate<T>(c); });
                },
            .strided_inputs = true}};

}  // namespace

Tensor rotary_table(int64_t length, int64_t depth, double base, DType dtype) {
  if (depth % 2 != 0) {
    throw Error(
        {.op = "rotary_table", .detail = fmt::format("pairs need an even depth, got {}", depth)});
  }
  check_positive("rotary_table", "base", base);
  const Tensor table({length, depth}, DType::float64);
  double* row = table.data<double>().data();
  for (int64_t t = 0; t < length; ++t, row += depth) {
    for (int64_t i = 0; i < depth / 2; ++i) {
      const double power = static_cast<double>(2 * i) / static_cast<double>(depth);
      const double angle = static_cast<double>(t) / std::pow(base, power);
      row[i] = std::cos(angle);
      row[depth / 2 + i] = std::sin(angle);
    }
  }
  return dtype == DType::float64 ? table : table.to(dtype);
}

Var rotary(const Arg& x, const Arg& table, const Arg& first) {
  return record_rotary(x, table, first, false);
}

}  // namespace v0
}  // namespace rapt
