#include "ops/rows/draw.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.hpp"
#include "framework/core/parallel.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct DrawAttributes {
  double top_p;
};

/// Returns the first index at which the running sum of the n weights at(i) exceeds `target`. If
/// rounding prevents that, returns the last index with a positive weight.
template <class At>
int64_t place_of(double target, int64_t n, At&& at) {
  double sum = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double weight = at(i);
    if (!(weight > 0)) continue;
    last = i;
    sum += weight;
    if (sum > target) break;
  }
  return last;
}

/// Draws from the fewest largest weights that have top_p of the total. `places` has room for V
/// indices.
template <class T>
int64_t draw_from_largest(const T* x, int64_t V, double total, double u, double top_p,
                          int32_t* places) {
  // All weights below (1 - top_p) / V of the total together have less than 1 - top_p of it. So none
  // of them is among the selected ones.
  const double least = (1 - top_p) * total / static_cast<double>(V);
  int64_t count = 0;
  for (int64_t i = 0; i < V; ++i) {
    if (static_cast<double>(x[i]) >= least) places[count++] = static_cast<int32_t>(i);
  }
  std::sort(places, places + count,
            [&](int32_t a, int32_t b) { return x[a] > x[b] || (x[a] == x[b] && a < b); });
  double sum = 0;
  int64_t used = 0;
  while (used < count && sum < top_p * total) sum += static_cast<double>(x[places[used++]]);
  return places[place_of(u * sum, used,
                         [&](int64_t i) { return static_cast<double>(x[places[i]]); })];
}

constinit const Op draw_op{
    .name = "draw",
    .shape =
        [](ShapeContext& c) {
          const Shape &x = c.input(0), &u = c.input(1);
          if (x.rank() == 0 || x[-1] == 0 || !is_float(c.dtype()) || c.dtype(1) != DType::float64 ||
              u != leading_shape(x)) {
            c.fail(
                fmt::format(
                    "expected float weights [.., V] and float64 numbers [..], got {} {} and {} {}",
                    name(c.dtype()), to_string(x), name(c.dtype(1)), to_string(u)),
                is_float(c.dtype()) && c.dtype(1) == DType::float64 ? ErrorKind::shape
                                                                    : ErrorKind::type);
          }
          const double top_p = c.attributes<DrawAttributes>().top_p;
          if (!(top_p > 0 && top_p <= 1)) {
            c.fail(fmt::format("top_p has to be in (0, 1], it is {}", top_p), ErrorKind::usage);
          }
          c.output(u, DType::int32);
        },
    .gradient = [](GradientContext&) {},
    .cpu = {.forward = [](const ForwardContext& c) {
      const TensorView& x = c.input(0);
      const auto* u = c.input(1).as<const double>();
      auto* out = c.output().as<int32_t>();
      const int64_t V = x.shape[-1];
      const double top_p = c.attributes<DrawAttributes>().top_p;
      by_float_type(x.dtype, [&]<class T>() {
        over_ranges(c, rows_of(x.shape), V, [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r) {
            const T* row = x.as<const T>() + r * V;
            double total = 0;
            for (int64_t i = 0; i < V; ++i) total += static_cast<double>(row[i]);
            if (!(total > 0) || !std::isfinite(total)) {
              throw Error(fmt::format("the weights of row {} add up to {}", r, total));
            }
            int64_t place = 0;
            if (top_p < 1) {
              auto* places = static_cast<int32_t*>(worker_scratch(V * size_of(DType::int32)));
              place = draw_from_largest(row, V, total, u[r], top_p, places);
            } else {
              place =
                  place_of(u[r] * total, V, [&](int64_t i) { return static_cast<double>(row[i]); });
            }
            out[r] = static_cast<int32_t>(place);
          }
        });
      });
    }}};

}  // namespace

Var draw(const Arg& x, const Arg& u, double top_p) {
  return record(draw_op, {x, u}, DrawAttributes{top_p});
}

}  // namespace v0
}  // namespace rapt
