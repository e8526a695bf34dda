// Views, slices and indices: the oracles are xtensor's own functions, or loops over flat indices.

#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/shape.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

using Vars = std::vector<Var>;
using Arrays = std::vector<Array>;
using xt::all;
using xt::range;

Row one(std::string name, Shape shape, std::function<Var(const Var&)> apply,
        std::function<Array(const Array&)> expected) {
  return {.name = std::move(name),
          .inputs = {{.shape = shape}},
          .apply = [apply](const Vars& v) { return apply(v[0]); },
          .expected = [expected](const Arrays& a) { return expected(a[0]); }};
}

Array reshaped(Array x, std::vector<size_t> shape) {
  x.reshape(shape);
  return x;
}

/// Returns the element of x, of rank 3, at (i, j, k).
double at(const Array& x, size_t i, size_t j, size_t k) { return x(i, j, k); }

Array gathered(const Array& x, const Array& index, size_t axis) {
  Array y = Array::from_shape(index.shape());
  for (size_t i = 0; i < y.shape(0); ++i) {
    for (size_t j = 0; j < y.shape(1); ++j) {
      for (size_t k = 0; k < y.shape(2); ++k) {
        const auto place = static_cast<size_t>(index(i, j, k));
        y(i, j, k) = axis == 0   ? at(x, place, j, k)
                     : axis == 1 ? at(x, i, place, k)
                                 : at(x, i, j, place);
      }
    }
  }
  return y;
}

Array scattered(Array x, const Array& index, const Array& source, size_t axis) {
  for (size_t i = 0; i < index.shape(0); ++i) {
    for (size_t j = 0; j < index.shape(1); ++j) {
      for (size_t k = 0; k < index.shape(2); ++k) {
        const auto place = static_cast<size_t>(index(i, j, k));
        (axis == 0   ? x(place, j, k)
         : axis == 1 ? x(i, place, k)
                     : x(i, j, place)) += source(i, j, k);
      }
    }
  }
  return x;
}

Row gather_row(std::string name, Shape x, int axis, Shape index) {
  return {.name = std::move(name),
          .inputs = {{.shape = x},
                     {.shape = index,
                      .low = 0,
                      .high = static_cast<double>(x[axis]),
                      .dtype = DType::int32}},
          .apply = [axis](const Vars& v) { return gather(v[0], axis, v[1]); },
          .expected =
              [axis](const Arrays& a) { return gathered(a[0], a[1], static_cast<size_t>(axis)); }};
}

Row scatter_row(std::string name, Shape x, int axis, Shape index) {
  return {.name = std::move(name),
          .inputs = {{.shape = x},
                     {.shape = index,
                      .low = 0,
                      .high = static_cast<double>(x[axis]),
                      .dtype = DType::int32},
                     {.shape = index}},
          .apply = [axis](const Vars& v) { return scatter_add(v[0], axis, v[1], v[2]); },
          .expected =
              [axis](const Arrays& a) {
                return scattered(a[0], a[1], a[2], static_cast<size_t>(axis));
              }};
}

void add_views(std::vector<Row>& rows) {
  rows.push_back(one(
      "reshape", {4, 6},
      [](const Var& x) {
        return reshape(x, {2, -1, 3});
      },
      [](const Array& x) {
        return reshaped(x, {2, 4, 3});
      }));
  rows.push_back(one(
      "reshape: of a transposed array, by way of a copy", {4, 6},
      [](const Var& x) { return reshape(transpose(x), {24}); },
      [](const Array& x) { return reshaped(xt::transpose(x), {24}); }));
  rows.push_back(one(
      "reshape: an axis that is not contiguous falls apart", {6, 5},
      [](const Var& x) {
        return reshape(transpose(x), {5, 2, 3});
      },
      [](const Array& x) {
        return reshaped(xt::transpose(x), {5, 2, 3});
      }));
  rows.push_back(one(
      "broadcast_to", {3, 1},
      [](const Var& x) {
        return broadcast_to(x, {2, 3, 4});
      },
      [](const Array& x) {
        return Array(xt::broadcast(x, {2, 3, 4}));
      }));
  rows.push_back(one(
      "permute", {2, 3, 4},
      [](const Var& x) {
        return permute(x, {2, 0, -2});
      },
      [](const Array& x) {
        return Array(xt::transpose(x, {2, 0, 1}));
      }));
  rows.push_back(one(
      "transpose", {3, 5}, [](const Var& x) { return transpose(x); },
      [](const Array& x) { return Array(xt::transpose(x)); }));
  rows.push_back(one(
      "transpose: of named axes", {2, 3, 4}, [](const Var& x) { return transpose(x, 0, -1); },
      [](const Array& x) {
        return Array(xt::transpose(x, {2, 1, 0}));
      }));
  rows.push_back(one(
      "contiguous: of a transposed array, over tile edges", {67, 35},
      [](const Var& x) { return contiguous(transpose(x)); },
      [](const Array& x) { return Array(xt::transpose(x)); }));
  rows.push_back(one(
      "unsqueeze", {3, 4}, [](const Var& x) { return unsqueeze(x, -1); },
      [](const Array& x) {
        return reshaped(x, {3, 4, 1});
      }));
  rows.push_back(one(
      "squeeze", {3, 1, 4}, [](const Var& x) { return squeeze(x, 1); },
      [](const Array& x) {
        return reshaped(x, {3, 4});
      }));
  rows.push_back(one(
      "alias", {3, 4}, [](const Var& x) { return alias(x); }, [](const Array& x) { return x; }));
  rows.push_back(one(
      "flip", {3, 4, 5},
      [](const Var& x) {
        return flip(x, {0, -1});
      },
      [](const Array& x) { return Array(xt::flip(xt::flip(x, 0), 2)); }));
}

void add_pieces(std::vector<Row>& rows) {
  rows.push_back(one(
      "slice", {5, 6}, [](const Var& x) { return slice(x, 1, 1, -2); },
      [](const Array& x) { return Array(xt::view(x, all(), range(1, 4))); }));
  rows.push_back(one(
      "slice: with a step", {3, 8}, [](const Var& x) { return slice(x, -1, 1, to_end, 3); },
      [](const Array& x) { return Array(xt::view(x, all(), range(1, 8, 3))); }));
  rows.push_back(one(
      "slice: overlapping uses", {7, 3},
      [](const Var& x) { return slice(x, 0, 0, -2) * slice(x, 0, 2) + slice(x, 0, 1, -1); },
      [](const Array& x) {
        return Array(xt::view(x, range(0, 5)) * xt::view(x, range(2, 7)) +
                     xt::view(x, range(1, 6)));
      }));
  rows.push_back(one(
      "slice: uses along two axes", {4, 4},
      [](const Var& x) { return slice(x, 0, 1, 3) * transpose(slice(x, 1, 0, 2)) + x.size(0); },
      [](const Array& x) {
        return Array(xt::view(x, range(1, 3)) * xt::transpose(xt::view(x, all(), range(0, 2))) + 4);
      }));
  rows.push_back(one(
      "slice: of a slice of a transposed array", {6, 5},
      [](const Var& x) { return square(slice(slice(transpose(x), 0, 1, 5, 2), 1, 2, 5)); },
      [](const Array& x) {
        const Array t = xt::transpose(x);
        return Array(xt::square(xt::view(t, range(1, 5, 2), range(2, 5))));
      }));
  rows.push_back(one(
      "select: every step of a recurrence", {2, 5, 3},
      [](const Var& x) {
        Var state = select(x, 1, 0);
        for (int t = 1; t < 5; ++t) state = state * 0.5 + square(select(x, 1, t));
        return state;
      },
      [](const Array& x) {
        Array state = xt::view(x, all(), 0);
        for (int t = 1; t < 5; ++t) {
          state = Array(state * 0.5 + xt::square(xt::view(x, all(), t)));
        }
        return state;
      }));
  rows.push_back(one(
      "select: the last row, read by a product", {3, 2, 4},
      [](const Var& x) { return matmul(select(x, 0, -1), transpose(select(x, 0, 1))); },
      [](const Array& x) {
        Array y = xt::zeros<double>({2, 2});
        for (size_t i = 0; i < 2; ++i) {
          for (size_t j = 0; j < 2; ++j) {
            for (size_t k = 0; k < 4; ++k) y(i, j) += x(2, i, k) * x(1, j, k);
          }
        }
        return y;
      }));
  rows.push_back(one(
      "split: three parts, multiplied", {3, 9},
      [](const Var& x) {
        const std::vector<Var> p = split(x, 3, 1);
        return p[0] * p[1] + p[2];
      },
      [](const Array& x) {
        return Array(xt::view(x, all(), range(0, 3)) * xt::view(x, all(), range(3, 6)) +
                     xt::view(x, all(), range(6, 9)));
      }));
  rows.push_back(one(
      "split: by sizes, one unused", {5, 4},
      [](const Var& x) {
        const std::vector<Var> p = split(x, {2, 1, 2}, 0);
        return p[2] * p[0];
      },
      [](const Array& x) { return Array(xt::view(x, range(3, 5)) * xt::view(x, range(0, 2))); }));
  rows.push_back({.name = "concat: the last axis, one operand twice",
                  .inputs = {{.shape = {3, 2}}, {.shape = {3, 5}}},
                  .apply =
                      [](const Vars& v) {
                        return concat({v[0], v[1], v[0]}, -1);
                      },
                  .expected =
                      [](const Arrays& a) {
                        return Array(xt::concatenate(xt::xtuple(a[0], a[1], a[0]), 1));
                      }});
  rows.push_back(
      {.name = "concat: the first axis, an empty operand between",
       .inputs = {{.shape = {3, 2}}, {.shape = {0, 2}}, {.shape = {4, 2}}},
       .apply = [](const Vars& v) { return concat(v, 0); },
       .expected =
           [](const Arrays& a) { return Array(xt::concatenate(xt::xtuple(a[0], a[2]), 0)); }});
  rows.push_back(
      {.name = "stack",
       .inputs = {{.shape = {3, 4}}, {.shape = {3, 4}}},
       .apply =
           [](const Vars& v) {
             return stack({v[0], v[1], v[0]}, 1);
           },
       .expected =
           [](const Arrays& a) { return Array(xt::stack(xt::xtuple(a[0], a[1], a[0]), 1)); }});
}

void add_indices(std::vector<Row>& rows) {
  rows.push_back(gather_row("gather: the first axis", {5, 3, 4}, 0, {7, 3, 4}));
  rows.push_back(
      gather_row("gather: the middle axis, a part of the others", {4, 5, 3}, 1, {2, 3, 2}));
  rows.push_back(gather_row("gather: the last axis", {2, 3, 11}, 2, {2, 3, 5}));
  rows.push_back(gather_row("gather: in several tasks", {40, 30, 20}, 2, {40, 30, 20}));
  rows.back().gradient = false;
  rows.push_back(scatter_row("scatter_add: the first axis", {3, 2, 4}, 0, {8, 2, 4}));
  rows.push_back(
      scatter_row("scatter_add: the last axis, a part of the others", {3, 4, 5}, 2, {2, 3, 9}));
  rows.push_back(scatter_row("scatter_add: in several tasks", {6, 50, 20}, 0, {35, 50, 20}));
  rows.back().gradient = false;
  rows.push_back(
      {.name = "take: along the first axis",
       .inputs = {{.shape = {5, 3}}, {.shape = {2, 4}, .low = 0, .high = 5, .dtype = DType::int32}},
       .apply = [](const Vars& v) { return take(v[0], v[1], 0); },
       .expected =
           [](const Arrays& a) {
             Array y = xt::zeros<double>({2, 4, 3});
             for (size_t i = 0; i < y.size(); ++i) {
               y.flat(i) = a[0](static_cast<size_t>(a[1].flat(i / 3)), i % 3);
             }
             return y;
           }});
  rows.push_back(
      {.name = "take: along the last axis",
       .inputs = {{.shape = {3, 5}}, {.shape = {6}, .low = 0, .high = 5, .dtype = DType::int32}},
       .apply = [](const Vars& v) { return take(v[0], v[1], -1); },
       .expected =
           [](const Arrays& a) {
             Array y = xt::zeros<double>({3, 6});
             for (size_t i = 0; i < y.size(); ++i) {
               y.flat(i) = a[0](i / 6, static_cast<size_t>(a[1](i % 6)));
             }
             return y;
           }});
  rows.push_back({.name = "one_hot: also outside of the depth",
                  .inputs = {{.shape = {3, 4}, .low = -1, .high = 6, .dtype = DType::int32}},
                  .apply = [](const Vars& v) { return one_hot(v[0], 5, DType::float64); },
                  .expected =
                      [](const Arrays& a) {
                        Array y = xt::zeros<double>({3, 4, 5});
                        for (size_t i = 0; i < y.size(); ++i) {
                          y.flat(i) = a[0].flat(i / 5) == static_cast<double>(i % 5) ? 1 : 0;
                        }
                        return y;
                      },
                  .gradient = false});
}

}  // namespace

std::vector<Row> shape_rows() {
  std::vector<Row> rows;
  add_views(rows);
  add_pieces(rows);
  add_indices(rows);
  return rows;
}

}  // namespace rapt::test
