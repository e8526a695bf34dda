#include <cmath>

#include "ops/attention/rotary.hpp"
#include "ops/shape/shape.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

using Vars = std::vector<Var>;
using Arrays = std::vector<Array>;

constexpr int64_t room = 12;

/// Rows [B, T, H, D]: multiplies the complex number x[i] + j x[i + D/2] by exp(j position /
/// base^(2i / D)).
Array turned(const Array& x, double base, const Array* first) {
  Array y = xt::zeros_like(x);
  const size_t half = x.shape()[3] / 2;
  for (size_t b = 0; b < x.shape()[0]; ++b) {
    for (size_t t = 0; t < x.shape()[1]; ++t) {
      const double start = first == nullptr ? 0 : first->flat(first->size() == 1 ? 0 : b);
      for (size_t h = 0; h < x.shape()[2]; ++h) {
        for (size_t i = 0; i < half; ++i) {
          const double frequency =
              std::exp(-std::log(base) * static_cast<double>(i) / static_cast<double>(half));
          const double angle = (start + static_cast<double>(t)) * frequency;
          const double re = x(b, t, h, i), im = x(b, t, h, i + half);
          y(b, t, h, i) = re * std::cos(angle) - im * std::sin(angle);
          y(b, t, h, i + half) = re * std::sin(angle) + im * std::cos(angle);
        }
      }
    }
  }
  return y;
}

}  // namespace

std::vector<Row> rotary_rows() {
  std::vector<Row> rows;
  for (const int64_t depth : {2, 6, 34}) {
    rows.push_back({.name = "rotary, depth " + std::to_string(depth),
                    .inputs = {{{2, 5, 3, depth}}},
                    .apply =
                        [=](const Vars& v) {
                          return rotary(v[0], rotary_table(room, depth, 100, v[0].dtype()));
                        },
                    .expected = [](const Arrays& x) { return turned(x[0], 100, nullptr); }});
  }
  rows.push_back({.name = "rotary, sentences that start at places of their own",
                  .inputs = {{{3, 4, 2, 8}}, {{3}, 0, 9, DType::int32}},
                  .apply =
                      [](const Vars& v) {
                        return rotary(v[0], rotary_table(room, 8, 10000, v[0].dtype()), v[1]);
                      },
                  .expected = [](const Arrays& x) { return turned(x[0], 10000, &x[1]); }});
  rows.push_back({.name = "rotary, one start for all, a row a place",
                  .inputs = {{{2, 4, 6}}, {{1}, 3, 9, DType::int32}},
                  .apply =
                      [](const Vars& v) {
                        return rotary(v[0], rotary_table(room, 6, 10, v[0].dtype()), v[1]);
                      },
                  .expected =
                      [](const Arrays& x) {
                        Array flat = x[0];
                        flat.reshape({2, 4, 1, 6});
                        Array y = turned(flat, 10, &x[1]);
                        y.reshape({2, 4, 6});
                        return y;
                      }});
  rows.push_back({.name = "rotary, some of the heads of a projection [B, T, 2, H, D]",
                  .inputs = {{{2, 3, 2, 4, 8}}},
                  .apply =
                      [](const Vars& v) {
                        const Var some = slice(v[0], 3, 1, 3);
                        return rotary(some, rotary_table(room, 8, 50, v[0].dtype()));
                      },
                  .expected =
                      [](const Arrays& x) {
                        Array heads(std::vector<size_t>{2, 3, 4, 8});
                        for (size_t i = 0; i < 6; ++i) {
                          for (size_t j = 0; j < 32; ++j) {
                            heads.flat(i * 32 + j) = x[0].flat(i * 64 + j / 16 * 32 + 8 + j % 16);
                          }
                        }
                        Array y = turned(heads, 50, nullptr);
                        y.reshape({2, 3, 2, 2, 8});
                        return y;
                      }});
  return rows;
}

}  // namespace rapt::test
