#include <cmath>

#include "framework/core/random.hpp"
#include "ops/attention/additive_attention.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/shape/shape.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

size_t size(const Array& x, size_t axis) { return x.shape()[axis]; }

// ---- additive attention -------------------------------------------------------------------------

struct Additive {
  Array context, weights;  // [B, Tq, M], [B, Tq, T]
};

/// Returns softmax(v . tanh(query + key) + bias) memory for query [B, Tq, A]. The softmax is over
/// the keys below the length and kept by `keep`, [B, T] or [B, Tq, T]. A query without keys gives
/// zeros.
Additive additive(const Array& query, const Array& keys, const Array& v, const Array& memory,
                  const Array* lengths, const Array* keep, const Array* bias = nullptr) {
  const size_t B = size(query, 0), Tq = size(query, 1), T = size(keys, 1), M = size(memory, 2);
  Additive out{xt::zeros<double>(std::vector<size_t>{B, Tq, M}),
               xt::zeros<double>(std::vector<size_t>{B, Tq, T})};
  for (size_t b = 0; b < B; ++b) {
    for (size_t i = 0; i < Tq; ++i) {
      double total = 0;
      for (size_t t = 0; t < T; ++t) {
        if (lengths != nullptr && static_cast<double>(t) >= (*lengths)(b)) continue;
        const bool of_keys = keep != nullptr && keep->dimension() == 2;
        if (keep != nullptr && (of_keys ? (*keep)(b, t) : (*keep)(b, i, t)) == 0) continue;
        double score = 0;
        for (size_t a = 0; a < size(v, 0); ++a) {
          score += v(a) * std::tanh(query(b, i, a) + keys(b, t, a));
        }
        if (bias != nullptr) score += (*bias)(b, i, t);
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

/// Concatenates context and weights, so that gradients of both are checked together.
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
  rows.back().inputs.push_back({{3}, 0, 5, DType::int32});
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
  rows.back().inputs.push_back({{3}, 2, 5, DType::int32});
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

/// Returns which of 4 keys each of 3 queries sees: keys up to its own position, but at most one
/// before it. Positions 2 and 3 do not see positions 0 and 1.
Array limited_keys(size_t batch) {
  Array keep = xt::zeros<double>(std::vector<size_t>{batch, 3, 4});
  for (size_t b = 0; b < batch; ++b) {
    for (size_t i = 0; i < 3; ++i) {
      for (size_t t = i; t <= i + 1; ++t) keep(b, i, t) = (t < 2) == (i + 1 < 2) ? 1 : 0;
    }
  }
  return keep;
}

void add_additive_masks(std::vector<Row>& rows) {
  const std::vector<Input> inputs{{{2, 3, 5}}, {{2, 4, 5}}, {{5}}, {{2, 4, 3}}};
  rows.push_back({.name = "additive_attention, causal in a window, documents and lengths",
                  .inputs = inputs,
                  .apply =
                      [](const std::vector<Var>& v) {
                        const Tensor queries = tensor(std::vector<int32_t>{0, 1, 1}, {1, 3});
                        const Tensor keys = tensor(std::vector<int32_t>{0, 0, 1, 1}, {1, 4});
                        const Mask mask =
                            causal() & sliding_window(1) & documents(queries, keys) & lengths(v[4]);
                        return both(additive_attention(v[0], v[1], v[2], v[3], mask));
                      },
                  .expected =
                      [](const std::vector<Array>& x) {
                        const Array kept = limited_keys(2);
                        return side_by_side(additive(x[0], x[1], x[2], x[3], &x[4], &kept));
                      }});
  rows.back().inputs.push_back({{2}, 2, 5, DType::int32});
  rows.push_back({.name = "additive_attention, keep and a bias of queries",
                  .inputs = inputs,
                  .apply =
                      [](const std::vector<Var>& v) {
                        const Mask mask = keep(v[4]) & additive(v[5]);
                        return both(additive_attention(v[0], v[1], v[2], v[3], mask));
                      },
                  .expected =
                      [](const std::vector<Array>& x) {
                        const Array bias = xt::view(x[5], xt::all(), 0);
                        return side_by_side(
                            additive(x[0], x[1], x[2], x[3], nullptr, &x[4], &bias));
                      }});
  rows.back().inputs.push_back({{2, 3, 4}, 0, 2, DType::boolean});
  rows.back().inputs.push_back({{2, 1, 3, 4}});
  rows.push_back(
      {.name = "additive_attention of one query, lengths and a bias of keys",
       .inputs =
           {{{2, 5}}, {{2, 4, 5}}, {{5}}, {{2, 4, 3}}, {{2}, 0, 5, DType::int32}, {{1, 1, 1, 4}}},
       .apply =
           [](const std::vector<Var>& v) {
             const Mask mask = lengths(v[4]) & additive(v[5]);
             return additive_attention(v[0], v[1], v[2], v[3], mask);
           },
       .expected =
           [](const std::vector<Array>& x) {
             const Array query = xt::view(x[0], xt::all(), xt::newaxis(), xt::all());
             Array bias(std::vector<size_t>{2, 1, 4});
             for (size_t i = 0; i < 8; ++i) bias.flat(i) = x[5].flat(i % 4);
             const Array context = additive(query, x[1], x[2], x[3], &x[4], nullptr, &bias).context;
             return Array(xt::view(context, xt::all(), 0, xt::all()));
           }});
}

// ---- scaled dot-product attention ---------------------------------------------------------------

struct Dot {
  double scale;
  bool causal = false;
  const Array* bias = nullptr;  // [B, Hq, Tq, Tk], as are keep and fate
  const Array* keep = nullptr;
  const Array* lengths = nullptr;  // [B]
  const Array* fate = nullptr;     // dropout's factors on the weights

  bool sees(size_t b, size_t h, size_t i, size_t j, size_t Tq, size_t Tk) const {
    return (!causal || j + Tq <= i + Tk) && (keep == nullptr || (*keep)(b, h, i, j) != 0) &&
           (lengths == nullptr || static_cast<double>(j) < (*lengths)(b));
  }
};

/// Returns softmax(scale q k' + bias) over the visible keys; zeros for a query that sees none.
Array dot_weights(const Array& q, const Array& k, const Dot& o) {
  const size_t B = size(q, 0), H = size(q, 1), Tq = size(q, 2), Tk = size(k, 2), D = size(q, 3);
  const size_t group = H / size(k, 1);
  Array w = xt::zeros<double>(std::vector<size_t>{B, H, Tq, Tk});
  for (size_t row = 0; row < B * H * Tq; ++row) {
    const size_t b = row / (H * Tq), h = row / Tq % H, i = row % Tq;
    double total = 0;
    for (size_t j = 0; j < Tk; ++j) {
      if (!o.sees(b, h, i, j, Tq, Tk)) continue;
      double score = 0;
      for (size_t d = 0; d < D; ++d) score += q(b, h, i, d) * k(b, h / group, j, d);
      score = score * o.scale + (o.bias == nullptr ? 0 : (*o.bias)(b, h, i, j));
      w(b, h, i, j) = std::exp(score);
      total += w(b, h, i, j);
    }
    for (size_t j = 0; total > 0 && j < Tk; ++j) w(b, h, i, j) /= total;
  }
  return w;
}

Array dot_attention(const Array& q, const Array& k, const Array& v, const Dot& o) {
  Array w = dot_weights(q, k, o);
  if (o.fate != nullptr) w = w * *o.fate;
  const size_t B = size(w, 0), H = size(w, 1), Tq = size(w, 2), Tk = size(w, 3), Dv = size(v, 3);
  Array y = xt::zeros<double>(std::vector<size_t>{B, H, Tq, Dv});
  for (size_t row = 0; row < B * H * Tq; ++row) {
    const size_t b = row / (H * Tq), h = row / Tq % H, i = row % Tq;
    for (size_t j = 0; j < Tk; ++j) {
      for (size_t d = 0; d < Dv; ++d) {
        y(b, h, i, d) += w(b, h, i, j) * v(b, h * size(v, 1) / H, j, d);
      }
    }
  }
  return y;
}

Array spread(const Array& x, const std::vector<size_t>& shape) { return xt::broadcast(x, shape); }

/// Returns dropout's factors on the weights for a training tape with Key{20}, as the table's tests
/// use it. No random operator may have been recorded before.
Array fate_of(const std::vector<size_t>& shape, double p) {
  Array fate(shape);
  for (size_t i = 0; i < fate.size(); ++i) {
    fate.flat(i) = Key{20}.fold(0).uniform(i) < p ? 0 : 1 / (1 - p);
  }
  return fate;
}

double root(double depth) { return 1 / std::sqrt(depth); }

void add_dot(std::vector<Row>& rows) {
  using Vars = std::vector<Var>;
  using Arrays = std::vector<Array>;
  rows.push_back(
      {.name = "attention",
       .inputs = {{{2, 2, 3, 5}}, {{2, 2, 4, 5}}, {{2, 2, 4, 3}}},
       .apply = [](const Vars& v) { return attention(v[0], v[1], v[2]); },
       .expected = [](const Arrays& x) { return dot_attention(x[0], x[1], x[2], {root(5)}); }});
  rows.push_back(
      {.name = "attention, several registers wide",
       .inputs = {{{1, 1, 9, 9}}, {{1, 1, 18, 9}}, {{1, 1, 18, 17}}},
       .apply = [](const Vars& v) { return attention(v[0], v[1], v[2]); },
       .expected = [](const Arrays& x) { return dot_attention(x[0], x[1], x[2], {root(9)}); }});
  rows.push_back({.name = "attention, causal, heads in groups, a scale",
                  .inputs = {{{2, 4, 3, 2}}, {{2, 2, 5, 2}}, {{2, 2, 5, 3}}},
                  .apply =
                      [](const Vars& v) {
                        return attention(v[0], v[1], v[2], {.mask = causal(), .scale = -0.3});
                      },
                  .expected =
                      [](const Arrays& x) {
                        return dot_attention(x[0], x[1], x[2], {.scale = -0.3, .causal = true});
                      }});
  rows.push_back({.name = "attention, causal with more queries than keys, a bias of all",
                  .inputs = {{{1, 2, 5, 2}}, {{1, 2, 3, 2}}, {{1, 2, 3, 1}}, {{1, 2, 5, 3}}},
                  .apply =
                      [](const Vars& v) {
                        return attention(v[0], v[1], v[2], {.mask = causal(), .bias = v[3]});
                      },
                  .expected =
                      [](const Arrays& x) {
                        return dot_attention(x[0], x[1], x[2],
                                             {.scale = root(2), .causal = true, .bias = &x[3]});
                      }});
  rows.push_back(
      {.name = "attention, lengths, a bias of queries and keys",
       .inputs =
           {{{3, 2, 2, 3}}, {{3, 1, 4, 3}}, {{3, 1, 4, 2}}, {{2, 4}}, {{3}, 0, 5, DType::int32}},
       .apply =
           [](const Vars& v) {
             return attention(v[0], v[1], v[2], {.mask = lengths(v[4]), .bias = v[3]});
           },
       .expected =
           [](const Arrays& x) {
             const Array bias = spread(x[3], {3, 2, 2, 4});
             return dot_attention(x[0], x[1], x[2],
                                  {.scale = root(3), .bias = &bias, .lengths = &x[4]});
           }});
  rows.push_back(
      {.name = "attention, causal, lengths and keep of queries, a bias of heads",
       .inputs = {{{2, 2, 3, 2}},
                  {{2, 2, 4, 2}},
                  {{2, 2, 4, 2}},
                  {{2, 1, 1}},
                  {{2}, 1, 5, DType::int32},
                  {{2, 3, 4}, 0, 2, DType::boolean}},
       .apply =
           [](const Vars& v) {
             const Mask mask = causal() & lengths(v[4]) & keep(v[5]);
             return attention(v[0], v[1], v[2], {.mask = mask, .bias = v[3]});
           },
       .expected =
           [](const Arrays& x) {
             const Array bias = spread(x[3], {2, 2, 3, 4});
             const Array kept = spread(xt::view(x[5], xt::all(), xt::newaxis()), {2, 2, 3, 4});
             return dot_attention(x[0], x[1], x[2],
                                  {.scale = root(2),
                                   .causal = true,
                                   .bias = &bias,
                                   .keep = &kept,
                                   .lengths = &x[4]});
           }});
  rows.push_back(
      {.name = "attention, keep of heads, dropout",
       .inputs = {{{2, 2, 3, 2}},
                  {{2, 2, 5, 2}},
                  {{2, 2, 5, 2}},
                  {{1, 2, 1, 5}},
                  {{1, 2, 3, 5}, 0, 2, DType::boolean}},
       .apply =
           [](const Vars& v) {
             return attention(v[0], v[1], v[2],
                              {.mask = keep(v[4]), .bias = v[3], .dropout = 0.25});
           },
       .expected =
           [](const Arrays& x) {
             const Array bias = spread(x[3], {2, 2, 3, 5}), kept = spread(x[4], {2, 2, 3, 5});
             const Array fate = fate_of({2, 2, 3, 5}, 0.25);
             return dot_attention(x[0], x[1], x[2],
                                  {.scale = root(2), .bias = &bias, .keep = &kept, .fate = &fate});
           }});
  rows.push_back({.name = "attention of one array [B, T, H D] to itself",
                  .inputs = {{{2, 4, 6}}},
                  .apply =
                      [](const Vars& v) {
                        const Var x = transpose(reshape(v[0], {2, 4, 2, 3}), 1, 2);
                        const Var y = attention(x, x, x, {.mask = causal(), .dropout = 0.5});
                        return reshape(transpose(y, 1, 2), {2, 4, 6});
                      },
                  .expected =
                      [](const Arrays& x) {
                        Array heads = x[0];
                        heads.reshape({2, 4, 2, 3});
                        heads = Array(xt::transpose(heads, {0, 2, 1, 3}));
                        const Array fate = fate_of({2, 2, 4, 4}, 0.5);
                        const Array y = dot_attention(
                            heads, heads, heads, {.scale = root(3), .causal = true, .fate = &fate});
                        Array merged = xt::transpose(y, {0, 2, 1, 3});
                        merged.reshape({2, 4, 6});
                        return merged;
                      }});
  rows.push_back({.name = "attention_weights",
                  .inputs = {{{2, 2, 3, 5}}, {{2, 1, 4, 5}}},
                  .apply = [](const Vars& v) { return attention_weights(v[0], v[1]); },
                  .expected = [](const Arrays& x) { return dot_weights(x[0], x[1], {root(5)}); }});
  rows.push_back(
      {.name = "attention_weights, causal, lengths and a bias",
       .inputs = {{{2, 2, 5, 3}}, {{2, 2, 4, 3}}, {{2, 1, 5, 1}}, {{2}, 0, 5, DType::int32}},
       .apply =
           [](const Vars& v) {
             return attention_weights(
                 v[0], v[1], {.mask = causal() & lengths(v[3]), .scale = 0.7, .bias = v[2]});
           },
       .expected =
           [](const Arrays& x) {
             const Array bias = spread(x[2], {2, 2, 5, 4});
             return dot_weights(x[0], x[1],
                                {.scale = 0.7, .causal = true, .bias = &bias, .lengths = &x[3]});
           }});
  rows.push_back({.name = "attention_statistics, entropy",
                  .inputs = {{{2, 2, 3, 5}}, {{2, 1, 4, 5}}},
                  .apply = [](const Vars& v) { return attention_statistics(v[0], v[1]).entropy; },
                  .expected =
                      [](const Arrays& x) {
                        const Array w = dot_weights(x[0], x[1], {root(5)});
                        Array entropy = xt::zeros<double>(std::vector<size_t>{2, 2, 3});
                        for (size_t i = 0; i < w.size(); ++i) {
                          entropy.flat(i / 4) -= w.flat(i) * std::log(w.flat(i));
                        }
                        return entropy;
                      }});
  rows.push_back({.name = "attention_statistics, the largest weight, causal",
                  .inputs = {{{2, 2, 4, 3}}, {{2, 2, 4, 3}}},
                  .apply =
                      [](const Vars& v) {
                        return attention_statistics(v[0], v[1], {.mask = causal()}).largest;
                      },
                  .expected =
                      [](const Arrays& x) {
                        const Array w = dot_weights(x[0], x[1], {.scale = root(3), .causal = true});
                        Array largest = xt::zeros<double>(std::vector<size_t>{2, 2, 4});
                        for (size_t i = 0; i < w.size(); ++i) {
                          largest.flat(i / 4) = std::max(largest.flat(i / 4), w.flat(i));
                        }
                        return largest;
                      }});
}

}  // namespace

std::vector<Row> attention_rows() {
  std::vector<Row> rows;
  add_additive(rows);
  add_additive_masks(rows);
  add_dot(rows);
  return rows;
}

}  // namespace rapt::test
