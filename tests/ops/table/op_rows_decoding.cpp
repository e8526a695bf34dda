// Operators of decoding: attention to caches, top_k, random draws.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ops/attention/cached_attention.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/draw.hpp"
#include "ops/rows/top_k.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

using Vars = std::vector<Var>;
using Arrays = std::vector<Array>;

size_t size(const Array& x, size_t axis) { return x.shape()[axis]; }

/// Attends from row r of q [R, Hq, D] to `count(r)` keys. key_at(r, t) returns the [row, time] of
/// arrays [N, T, Hk, D].
template <class Count, class KeyAt>
Array attend(const Array& q, const Array& keys, const Array& values, double scale,
             const Count& count, const KeyAt& key_at) {
  const size_t R = size(q, 0), H = size(q, 1), D = size(q, 2), Dv = size(values, 3);
  const size_t group = H / size(keys, 2);
  Array out = xt::zeros<double>(std::vector<size_t>{R, H, Dv});
  for (size_t r = 0; r < R; ++r) {
    for (size_t h = 0; h < H; ++h) {
      double total = 0;
      for (size_t t = 0; t < count(r); ++t) {
        const auto [i, j] = key_at(r, t);
        double score = 0;
        for (size_t d = 0; d < D; ++d) score += q(r, h, d) * keys(i, j, h / group, d);
        const double weight = std::exp(score * scale);
        total += weight;
        for (size_t d = 0; d < Dv; ++d) out(r, h, d) += weight * values(i, j, h / group, d);
      }
      for (size_t d = 0; d < Dv; ++d) out(r, h, d) /= std::max(total, 1e-300);
    }
  }
  return out;
}

/// Inputs: q, k, v, ancestors, place, keys, values.
Row cached_row(const std::string& name, int64_t R, int64_t Hq, int64_t Hk, int64_t D, int64_t Dv,
               int64_t T, int64_t N, int64_t place, double scale) {
  const auto at = static_cast<double>(place);
  return {
      .name = name,
      .inputs = {{{R, Hq, D}},
                 {{R, Hk, D}},
                 {{R, Hk, Dv}},
                 {{R, T}, 0, static_cast<double>(N), DType::int32},
                 {{1}, at, at + 1, DType::int32},
                 {{T, N, Hk, D}},
                 {{T, N, Hk, Dv}}},
      .apply =
          [scale](const Vars& v) {
            const KeyValueCache cache{v[5].value().clone(), v[6].value().clone()};
            return cached_attention(v[0], v[1], v[2], cache, v[3], v[4], scale);
          },
      .expected =
          [scale](const Arrays& x) {
            Array keys = x[5], values = x[6];
            const auto t_now = static_cast<size_t>(x[4](0));
            for (size_t r = 0; r < size(x[1], 0); ++r) {
              for (size_t h = 0; h < size(x[1], 1); ++h) {
                for (size_t d = 0; d < size(x[1], 2); ++d) keys(t_now, r, h, d) = x[1](r, h, d);
                for (size_t d = 0; d < size(x[2], 2); ++d) {
                  values(t_now, r, h, d) = x[2](r, h, d);
                }
              }
            }
            const double depth = static_cast<double>(size(x[0], 2));
            return attend(
                x[0], keys, values, scale != 0 ? scale : 1 / std::sqrt(depth),
                [&](size_t) { return t_now + 1; },
                [&](size_t r, size_t t) { return std::pair(t, static_cast<size_t>(x[3](r, t))); });
          },
      .gradient = false};
}

/// The same row with a bias per head and step as the last input.
Row biased_row() {
  Row row = cached_row("cached_attention, a bias", 3, 4, 2, 5, 6, 7, 4, 5, 0.5);
  row.inputs.push_back({{4, 7}});
  row.apply = [](const Vars& v) {
    const KeyValueCache cache{v[5].value().clone(), v[6].value().clone()};
    return cached_attention(v[0], v[1], v[2], cache, v[3], v[4], 0.5, v[7]);
  };
  row.expected = [](const Arrays& x) {
    // Models the bias as one more column: 1 for each query, and the bias for each key, head by
    // head.
    Array out(std::vector<size_t>{3, 4, 6});
    for (size_t h = 0; h < 4; ++h) {
      Array q = xt::ones<double>(std::vector<size_t>{3, 1, 6});
      Array keys(std::vector<size_t>{7, 4, 1, 6}), values(std::vector<size_t>{7, 4, 1, 6});
      for (size_t t = 0; t < 7; ++t) {
        for (size_t n = 0; n < 4; ++n) {
          const bool now = t == 5 && n < 3;
          for (size_t d = 0; d < 5; ++d) {
            keys(t, n, 0, d) = now ? x[1](n, h / 2, d) : x[5](t, n, h / 2, d);
          }
          keys(t, n, 0, 5) = x[7](h, t) / 0.5;
          for (size_t d = 0; d < 6; ++d) {
            values(t, n, 0, d) = now ? x[2](n, h / 2, d) : x[6](t, n, h / 2, d);
          }
        }
      }
      for (size_t r = 0; r < 3; ++r) {
        for (size_t d = 0; d < 5; ++d) q(r, 0, d) = x[0](r, h, d);
      }
      const Array one = attend(
          q, keys, values, 0.5, [](size_t) { return size_t{6}; },
          [&](size_t r, size_t t) { return std::pair(t, static_cast<size_t>(x[3](r, t))); });
      for (size_t r = 0; r < 3; ++r) {
        for (size_t d = 0; d < 6; ++d) out(r, h, d) = one(r, 0, d);
      }
    }
    return out;
  };
  return row;
}

/// A bias that hides all keys from the first head, whose result is then zeros.
Row hidden_row() {
  Row row = cached_row("cached_attention, a head that sees no key", 3, 2, 2, 5, 6, 7, 4, 5, 0);
  row.apply = [](const Vars& v) {
    const KeyValueCache cache{v[5].value().clone(), v[6].value().clone()};
    const Tensor bias = zeros({2, 7});
    for (float& x : bias.data<float>().first(7)) x = -std::numeric_limits<float>::infinity();
    return cached_attention(v[0], v[1], v[2], cache, v[3], v[4], 0, as_var(bias.to(v[0].dtype())));
  };
  row.expected = [all = row.expected](const Arrays& x) {
    Array out = all(x);
    xt::view(out, xt::all(), 0, xt::all()) = 0.0;
    return out;
  };
  return row;
}

/// Inputs: q, keys, values, memory, lengths (some 0, some full).
Row shared_row(const std::string& name, int64_t L, int64_t W, int64_t Hq, int64_t Hk, int64_t D,
               int64_t Dv, int64_t B, int64_t S) {
  return {
      .name = name,
      .inputs = {{{L * W, Hq, D}},
                 {{B, S, Hk, D}},
                 {{B, S, Hk, Dv}},
                 {{L}, 0, static_cast<double>(B), DType::int32},
                 {{B}, 0, static_cast<double>(S) + 1, DType::int32}},
      .apply = [](const Vars& v) { return shared_attention(v[0], v[1], v[2], v[3], v[4], 0.7); },
      .expected =
          [W](const Arrays& x) {
            const auto memory = [&](size_t r) {
              return static_cast<size_t>(x[3](r / static_cast<size_t>(W)));
            };
            return attend(
                x[0], x[1], x[2], 0.7,
                [&](size_t r) {
                  return std::min(size(x[1], 1), static_cast<size_t>(x[4](memory(r))));
                },
                [&](size_t r, size_t t) { return std::pair(memory(r), t); });
          },
      .gradient = false};
}

/// Returns the indices of the k largest elements of each row of x [R, V].
Array largest(const Array& x, size_t k) {
  Array places(std::vector<size_t>{size(x, 0), k});
  for (size_t r = 0; r < size(x, 0); ++r) {
    std::vector<size_t> order(size(x, 1));
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return x(r, a) > x(r, b); });
    for (size_t j = 0; j < k; ++j) places(r, j) = static_cast<double>(order[j]);
  }
  return places;
}

void add_top_k(std::vector<Row>& rows) {
  // Up to 64 elements are kept in a sorted list, more in a heap.
  using Sizes = std::pair<int64_t, int64_t>;
  for (const auto& [width, k] : {Sizes{7, 7}, {131, 9}, {300, 64}, {300, 65}, {300, 299}}) {
    const std::string sizes = std::to_string(k) + " of " + std::to_string(width);
    rows.push_back({.name = "top_k's values, " + sizes,
                    .inputs = {{{3, width}}},
                    .apply = [k = k](const Vars& v) { return top_k(v[0], k); },
                    .expected =
                        [k = k](const Arrays& x) {
                          const Array places = largest(x[0], static_cast<size_t>(k));
                          Array values = places;
                          for (size_t r = 0; r < size(values, 0); ++r) {
                            for (size_t j = 0; j < size(values, 1); ++j) {
                              values(r, j) = x[0](r, static_cast<size_t>(places(r, j)));
                            }
                          }
                          return values;
                        },
                    .gradient = width < 10});
    // Integers, so that many elements are equal.
    rows.push_back(
        {.name = "top_k's places, " + sizes,
         .inputs = {{{3, width}, 0, 30}},
         .apply = [k = k](const Vars& v) { return top_k(floor(v[0]), k).output(1); },
         .expected =
             [k = k](const Arrays& x) { return largest(xt::floor(x[0]), static_cast<size_t>(k)); },
         .gradient = false});
  }
}

void add_draw(std::vector<Row>& rows) {
  for (const double top_p : {1.0, 0.6}) {
    rows.push_back(
        {.name = "draw, top_p " + std::to_string(top_p),
         .inputs = {{{40, 17}, 0, 1}, {{40}, 0, 1}},
         .apply = [top_p](const Vars& v) { return draw(v[0], cast(v[1], DType::float64), top_p); },
         .expected =
             [top_p](const Arrays& x) {
               Array out(std::vector<size_t>{size(x[0], 0)});
               for (size_t r = 0; r < size(x[0], 0); ++r) {
                 const size_t V = size(x[0], 1);
                 double total = 0;
                 for (size_t i = 0; i < V; ++i) total += x[0](r, i);
                 const Array order = largest(x[0], V);
                 std::vector<size_t> used;
                 double sum = 0;
                 for (size_t i = 0; i < V && (top_p == 1 || sum < top_p * total); ++i) {
                   used.push_back(top_p == 1 ? i : static_cast<size_t>(order(r, i)));
                   sum += x[0](r, used.back());
                 }
                 double left = x[1](r) * sum;
                 size_t i = 0;
                 while (i + 1 < used.size() && left >= x[0](r, used[i])) left -= x[0](r, used[i++]);
                 out(r) = static_cast<double>(used[i]);
               }
               return out;
             },
         .gradient = false});
  }
}

}  // namespace

std::vector<Row> decoding_rows() {
  std::vector<Row> rows;
  rows.push_back(cached_row("cached_attention", 3, 2, 2, 3, 5, 6, 4, 3, 0));
  rows.push_back(cached_row("cached_attention, the first place", 2, 1, 1, 16, 16, 3, 2, 0, 0));
  rows.push_back(
      cached_row("cached_attention, heads in groups, a scale", 5, 6, 2, 37, 70, 23, 7, 22, 0.3));
  rows.push_back(biased_row());
  rows.push_back(hidden_row());
  rows.push_back(shared_row("shared_attention", 3, 1, 2, 2, 3, 5, 4, 6));
  rows.push_back(
      shared_row("shared_attention, rows and heads in groups", 4, 3, 6, 2, 33, 66, 5, 9));
  add_top_k(rows);
  add_draw(rows);
  return rows;
}

}  // namespace rapt::test
