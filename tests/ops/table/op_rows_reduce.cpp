// Reductions: the oracle loops over all elements and collects those of each result.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "optim/clip.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

using Vars = std::vector<Var>;
using Arrays = std::vector<Array>;
using Values = std::vector<double>;

/// Applies `reduce` to the elements along the axes (counted from 0).
Array plain_reduce(const Array& x, const std::vector<size_t>& axes, bool keepdims,
                   double (*reduce)(const Values&)) {
  const auto is_reduced = [&](size_t axis) {
    return std::find(axes.begin(), axes.end(), axis) != axes.end();
  };
  std::vector<size_t> shape;
  size_t results = 1;
  for (size_t i = 0; i < x.dimension(); ++i) {
    if (!is_reduced(i)) results *= x.shape(i);
    if (!is_reduced(i) || keepdims) shape.push_back(is_reduced(i) ? 1 : x.shape(i));
  }
  std::vector<Values> collected(results);
  for (size_t flat = 0; flat < x.size(); ++flat) {
    size_t rest = flat, place = 0, step = 1;
    for (size_t i = x.dimension(); i-- > 0; rest /= x.shape(i)) {
      if (is_reduced(i)) continue;
      place += rest % x.shape(i) * step;
      step *= x.shape(i);
    }
    collected[place].push_back(x.flat(flat));
  }
  Array y = Array::from_shape(shape);
  std::transform(collected.begin(), collected.end(), y.begin(), reduce);
  return y;
}

double plain_sum(const Values& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double plain_mean(const Values& v) { return plain_sum(v) / static_cast<double>(v.size()); }
double plain_max(const Values& v) { return *std::max_element(v.begin(), v.end()); }
double plain_min(const Values& v) { return *std::min_element(v.begin(), v.end()); }
double plain_argmax(const Values& v) {
  return static_cast<double>(std::max_element(v.begin(), v.end()) - v.begin());
}
double plain_logsumexp(const Values& v) {
  double total = 0;
  for (const double x : v) total += std::exp(x);
  return std::log(total);
}
double plain_any(const Values& v) { return plain_max(v); }
double plain_all(const Values& v) { return plain_min(v); }

using Reduce = Var (*)(const Arg&, const Axes&, bool);

Row reduction(std::string name, Reduce op, double (*oracle)(const Values&), Shape shape, Axes axes,
              bool keepdims = false) {
  std::vector<size_t> plain;
  for (const int axis : axes) plain.push_back(static_cast<size_t>(from_front(axis, shape.rank())));
  for (int i = 0; axes.is_all() && i < shape.rank(); ++i) plain.push_back(static_cast<size_t>(i));
  return {.name = std::move(name),
          .inputs = {{.shape = shape}},
          .apply = [=](const Vars& v) { return op(v[0], axes, keepdims); },
          .expected = [=](const Arrays& a) { return plain_reduce(a[0], plain, keepdims, oracle); }};
}

Row of_type(Row row, DType dtype, double low, double high) {
  row.inputs[0].dtype = dtype;
  row.inputs[0].low = low;
  row.inputs[0].high = high;
  row.gradient = false;
  return row;
}

Row without_gradient(Row row) {
  row.gradient = false;
  return row;
}

/// The same row on a view of x: the oracle receives the view's elements.
Row of_view(Row row, std::function<Var(const Var&)> view,
            std::function<Array(const Array&)> plain_view, Shape shape) {
  row.inputs[0].shape = shape;
  const auto apply = row.apply;
  const auto expected = row.expected;
  row.apply = [=](const Vars& v) { return apply({view(v[0])}); };
  row.expected = [=](const Arrays& a) { return expected({plain_view(a[0])}); };
  return row;
}

Array accumulated(const Array& x, size_t axis, bool reversed) {
  const Array input = reversed ? Array(xt::flip(x, axis)) : x;
  const Array sums = xt::cumsum(input, static_cast<std::ptrdiff_t>(axis));
  return reversed ? Array(xt::flip(sums, axis)) : sums;
}

Row cumulative(std::string name, Shape shape, int axis, bool reversed) {
  return {.name = std::move(name),
          .inputs = {{.shape = shape}},
          .apply = [=](const Vars& v) { return cumsum(v[0], axis, reversed); },
          .expected =
              [=](const Arrays& a) {
                return accumulated(a[0], static_cast<size_t>(from_front(axis, shape.rank())),
                                   reversed);
              }};
}

void add_sums(std::vector<Row>& rows) {
  rows.push_back(reduction("sum", sum, plain_sum, {3, 37}, Axes::all()));
  rows.push_back(reduction("sum: of the last axis", sum, plain_sum, {5, 19}, -1));
  rows.push_back(reduction("sum: of the first axis", sum, plain_sum, {19, 5}, 0, true));
  rows.push_back(reduction("sum: of a middle axis", sum, plain_sum, {3, 4, 5}, 1));
  rows.push_back(reduction("sum: of outer axes", sum, plain_sum, {3, 4, 5}, {0, 2}));
  rows.push_back(
      reduction("sum: of every other axis", sum, plain_sum, {2, 3, 2, 3, 2}, {0, 2, 4}, true));
  rows.push_back(reduction("sum: of no axis", sum, plain_sum, {3, 4}, Axes({})));
  rows.push_back(reduction("sum: of an axis of size 1", sum, plain_sum, {3, 1, 4}, 1));
  rows.push_back(reduction("sum: of a scalar", sum, plain_sum, {}, Axes::all()));
  rows.push_back(reduction("sum: to zeros, of no elements", sum, plain_sum, {3, 0, 2}, 1));
  rows.push_back(without_gradient(
      reduction("sum: in several tasks, combined", sum, plain_sum, {3, 70001}, Axes::all())));
  rows.back().tolerance = 1e-4;  // 2e5 floats that mostly cancel
  rows.push_back(
      without_gradient(reduction("sum: of many rows, combined", sum, plain_sum, {5003, 33}, 0)));
  rows.back().tolerance = 1e-4;
  const auto cut = [](const Var& x) { return slice(x, 2, 1, 4); };
  const auto plain_cut = [](const Array& x) {
    return Array(xt::view(x, xt::all(), xt::all(), xt::range(1, 4)));
  };
  rows.push_back(of_view(reduction("sum: of a slice", sum, plain_sum, {3, 4, 3}, Axes::all()), cut,
                         plain_cut, {3, 4, 5}));
  rows.push_back(of_view(reduction("sum: of a slice's rows", sum, plain_sum, {3, 4, 3}, {0, 1}),
                         cut, plain_cut, {3, 4, 5}));
  rows.push_back(of_view(reduction("sum: of a slice's columns", sum, plain_sum, {3, 4, 3}, 2), cut,
                         plain_cut, {3, 4, 5}));
  rows.push_back(of_view(
      reduction("sum: of a repeated axis", sum, plain_sum, {4, 3, 5}, {0, 2}),
      [](const Var& x) {
        return broadcast_to(x, {4, 3, 5});
      },
      [](const Array& x) {
        return Array(xt::broadcast(x, {4, 3, 5}));
      },
      {3, 1}));
  rows.push_back(of_view(
      reduction("sum: of a permuted array", sum, plain_sum, {4, 2, 3}, 0),
      [](const Var& x) {
        return permute(x, {2, 0, 1});
      },
      [](const Array& x) {
        return Array(xt::transpose(x, {2, 0, 1}));
      },
      {2, 3, 4}));
  rows.push_back(of_view(
      reduction("sum: of a permuted array, out of order", sum, plain_sum, {4, 3, 2}, 1),
      [](const Var& x) {
        return permute(x, {2, 1, 0});
      },
      [](const Array& x) {
        return Array(xt::transpose(x, {2, 1, 0}));
      },
      {2, 3, 4}));
  rows.push_back(of_type(reduction("sum: of integers", sum, plain_sum, {3, 4, 5}, {0, 2}),
                         DType::int32, -50, 50));
  rows.push_back(
      of_type(reduction("sum: of booleans", sum, plain_sum, {3, 400}, 1), DType::boolean, 0, 2));
  rows.push_back(reduction("mean", mean, plain_mean, {3, 37}, Axes::all()));
  rows.push_back(reduction("mean: of outer axes", mean, plain_mean, {3, 4, 5}, {0, -1}, true));
  rows.push_back({.name = "sum_to",
                  .inputs = {{.shape = {2, 3, 4, 5}}},
                  .apply =
                      [](const Vars& v) {
                        return sum_to(v[0], {3, 1, 5});
                      },
                  .expected =
                      [](const Arrays& a) {
                        Array y = plain_reduce(a[0], {0, 2}, false, plain_sum);
                        y.reshape({3, 1, 5});
                        return y;
                      }});
}

void add_choices(std::vector<Row>& rows) {
  rows.push_back(reduction("max", max, plain_max, {3, 37}, Axes::all()));
  rows.push_back(reduction("max: of the last axis", max, plain_max, {5, 19}, -1, true));
  rows.push_back(reduction("max: of the first axis", max, plain_max, {19, 5}, 0));
  rows.push_back(reduction("max: of outer axes", max, plain_max, {3, 4, 5}, {0, 2}));
  rows.push_back(reduction("min: of a middle axis", min, plain_min, {3, 4, 5}, 1));
  rows.push_back(reduction("min: of outer axes", min, plain_min, {3, 4, 5}, {0, 2}));
  rows.push_back(
      of_type(reduction("max: of integers", max, plain_max, {4, 70}, 0), DType::int32, -50, -3));
  rows.push_back(
      of_type(reduction("min: of integers", min, plain_min, {4, 70}, 1), DType::int32, 3, 50));
  const Reduce last_argmax = [](const Arg& x, const Axes& axes, bool keepdims) {
    return argmax(x, axes[0], keepdims);
  };
  rows.push_back(without_gradient(
      reduction("argmax: of the last axis", last_argmax, plain_argmax, {7, 33}, -1)));
  rows.push_back(without_gradient(
      reduction("argmax: of the first axis", last_argmax, plain_argmax, {33, 7}, 0, true)));
  rows.push_back(of_type(reduction("argmax: of integers, the first of equals", last_argmax,
                                   plain_argmax, {3, 50, 4}, 1),
                         DType::int32, 0, 4));
  rows.push_back(of_type(reduction("any", any, plain_any, {40, 3}, 1), DType::boolean, 0, 1.2));
  rows.push_back(
      of_type(reduction("all", all, plain_all, {3, 40}, 0, true), DType::boolean, 0.4, 2));
}

}  // namespace

std::vector<Row> reduce_rows() {
  std::vector<Row> rows;
  add_sums(rows);
  add_choices(rows);
  rows.push_back(reduction("logsumexp", logsumexp, plain_logsumexp, {3, 37}, Axes::all()));
  rows.push_back(
      reduction("logsumexp: of the first axis", logsumexp, plain_logsumexp, {6, 5}, 0, true));
  rows.push_back(
      reduction("logsumexp: of outer axes", logsumexp, plain_logsumexp, {3, 4, 5}, {0, 2}));
  rows.push_back(cumulative("cumsum: of the last axis", {3, 19}, -1, false));
  rows.push_back(cumulative("cumsum: of the first axis, reversed", {7, 5}, 0, true));
  rows.push_back(cumulative("cumsum: of a middle axis", {2, 4, 5}, 1, false));
  rows.push_back(of_type(cumulative("cumsum: of integers, reversed", {3, 6, 2}, 1, true),
                         DType::int32, -9, 9));
  rows.push_back({.name = "global_norm",
                  .inputs = {{{3, 5}}, {{7}}, {{2, 1, 2}}},
                  .apply = [](const Vars& v) { return global_norm(v); },
                  .expected =
                      [](const Arrays& v) {
                        double total = 0;
                        for (const Array& array : v) {
                          for (const double x : array) total += x * x;
                        }
                        return Array(std::sqrt(total));
                      }});
  rows.push_back(
      of_type(cumulative("cumsum: of booleans", {3, 300}, 1, false), DType::boolean, 0, 2));
  return rows;
}

}  // namespace rapt::test
