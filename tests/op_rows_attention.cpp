#include <cmath>
#include <rapt/ops/additive_attention.hpp>
#include <rapt/ops/shape.hpp>
#include <xtensor/xmanipulation.hpp>
#include <xtensor/xview.hpp>

#include "op_table.hpp"

namespace rapt::test {
namespace {

size_t size(const Array& x, size_t axis) { return x.shape()[axis]; }

// ---- additive attention -------------------------------------------------------------------------

struct Additive {
  Array context, weights;  // [B, Tq, M], [B, Tq, T]
};

/// softmax(v . tanh(query + key)) memory for query [B, Tq, A], over the keys below the length and
/// kept; a query without keys gives zeros.
Additive additive(const Array& query, const Array& keys, const Array& v, const Array& memory,
                  const Array* lengths, const Array* keep) {
  const size_t B = size(query, 0), Tq = size(query, 1), T = size(keys, 1), M = size(memory, 2);
  Additive out{xt::zeros<double>(std::vector<size_t>{B, Tq, M}),
               xt::zeros<double>(std::vector<size_t>{B, Tq, T})};
  for (size_t b = 0; b < B; ++b) {
    for (size_t i = 0; i < Tq; ++i) {
      double total = 0;
      for (size_t t = 0; t < T; ++t) {
        if (lengths != nullptr && static_cast<double>(t) >= (*lengths)(b)) continue;
        if (keep != nullptr && (*keep)(b, t) == 0) continue;
        double score = 0;
        for (size_t a = 0; a < size(v, 0); ++a) {
          score += v(a) * std::tanh(query(b, i, a) + keys(b, t, a));
        }
        out.weights(b, i, t) = std::exp(score);
        total += std::exp(score);
      }
      if (total == 0) continue;
      for (size_t t = 0; t < T; ++t) {
        out.weights(b, i, t) /= total;
        for (size_t m = 0; m < M; ++m) {
          out.context(b, i, m) += out.weights(b, i, t) * memory(b, t, m);
        }
      }
    }
  }
  return out;
}

Array side_by_side(const Additive& out) {
  const size_t M = size(out.context, 2), T = size(out.weights, 2);
  Array both(std::vector<size_t>{size(out.context, 0), size(out.context, 1), M + T});
  for (size_t b = 0; b < size(both, 0); ++b) {
    for (size_t i = 0; i < size(both, 1); ++i) {
      for (size_t m = 0; m < M; ++m) both(b, i, m) = out.context(b, i, m);
      for (size_t t = 0; t < T; ++t) both(b, i, M + t) = out.weights(b, i, t);
    }
  }
  return both;
}

/// Context and weights, so that gradients of both are checked together.
Var both(const Var& context) { return concat({context, context.output(1)}, -1); }

void add_additive(std::vector<Row>& rows) {
  const std::vector<Input> inputs{{{3, 2, 5}}, {{3, 4, 5}}, {{5}}, {{3, 4, 3}}};
  rows.push_back(
      {.name = "additive_attention",
       .inputs = inputs,
       .apply =
           [](const std::vector<Var>& v) { return additive_attention(v[0], v[1], v[2], v[3]); },
       .expected =
           [](const std::vector<Array>& x) {
             return additive(x[0], x[1], x[2], x[3], nullptr, nullptr).context;
           }});
  rows.push_back({.name = "additive_attention and its weights, with lengths",
                  .inputs = inputs,
                  .apply =
                      [](const std::vector<Var>& v) {
                        return both(additive_attention(v[0], v[1], v[2], v[3], lengths(v[4])));
                      },
                  .expected =
                      [](const std::vector<Array>& x) {
                        return side_by_side(additive(x[0], x[1], x[2], x[3], &x[4], nullptr));
                      }});
  rows.back().inputs.push_back({{3}, 0, 6, DType::int32});
  rows.push_back({.name = "additive_attention's weights, with lengths and keep",
                  .inputs = inputs,
                  .apply =
                      [](const std::vector<Var>& v) {
                        const Mask mask = lengths(v[4]) & keep(v[5]);
                        return additive_attention(v[0], v[1], v[2], v[3], mask).output(1);
                      },
                  .expected =
                      [](const std::vector<Array>& x) {
                        return additive(x[0], x[1], x[2], x[3], &x[4], &x[5]).weights;
                      }});
  rows.back().inputs.push_back({{3}, 2, 6, DType::int32});
  rows.back().inputs.push_back({{3, 4}, 0, 2, DType::boolean});
  rows.push_back(
      {.name = "additive_attention of one query, keys and memory [T, B, n]",
       .inputs = {{{3, 5}}, {{4, 3, 5}}, {{5}}, {{4, 3, 2}}, {{3, 4}, 0, 2, DType::boolean}},
       .apply =
           [](const std::vector<Var>& v) {
             return additive_attention(v[0], transpose(v[1], 0, 1), v[2], transpose(v[3], 0, 1),
                                       keep(v[4]));
           },
       .expected =
           [](const std::vector<Array>& x) {
             const Array query = xt::view(x[0], xt::all(), xt::newaxis(), xt::all());
             const Array context = additive(query, xt::transpose(x[1], {1, 0, 2}), x[2],
                                            xt::transpose(x[3], {1, 0, 2}), nullptr, &x[4])
                                       .context;
             return Array(xt::view(context, xt::all(), 0, xt::all()));
           }});
}

}  // namespace

std::vector<Row> attention_rows() {
  std::vector<Row> rows;
  add_additive(rows);
  return rows;
}

}  // namespace rapt::test
