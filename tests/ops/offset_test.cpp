// Softmax, its logarithm, log-sum-exp, cross-entropy, CTC, additive attention and attention in
// decoding under any common offset of their scores, the largest numbers included: values, gradients
// and second derivatives against closed forms in long double.
#include <functional>

#include "framework/run/executor.hpp"
#include "ops/attention/additive_attention.hpp"
#include "ops/attention/cached_attention.hpp"
#include "ops/rows/ctc.hpp"
#include "ops/rows/loss.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "tests/ops/offset_rows.hpp"

namespace rapt::test {
namespace {

enum class Kind { softmax, log_softmax, logsumexp, cross_entropy };

/// Scores [rows, width], an offset to each row; the last row is -inf throughout.
template <class T>
struct Scores {
  int64_t rows, width;
  std::vector<T> x;

  /// With `holes`, each row has a score of -inf.
  Scores(int64_t n, bool holes) : rows(int64_t(offsets<T>().size()) + 1), width(n) {
    const std::vector<T> by = offsets<T>();
    for (int64_t i = 0; i < rows; ++i) {
      const bool last = i + 1 == rows;
      for (int64_t j = 0; j < width; ++j) {
        const bool hidden = last || (holes && j == (i * 5 + 2) % width);
        x.push_back(hidden ? T(-INFINITY) : T(small<T>(i, j) + by[static_cast<size_t>(i)]));
      }
    }
  }

  const T* row(int64_t i) const { return x.data() + i * width; }
  bool hidden(int64_t i, int64_t j) const { return row(i)[j] == T(-INFINITY); }
};

struct Operator {
  std::string name;
  Kind kind;
  /// Of x [rows, width], and a mask that hides what is -inf in it.
  std::function<Var(const Var& x, const Var& seen)> apply;
  double smoothing = 0;
  bool holes = true;
};

Var labels_of(const Var& x) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < x.size(0); ++i) labels.push_back(int32_t((i * 5) % x.size(1)));
  return as_var(tensor(labels, {x.size(0)}));
}

Var cross(const Var& x, float smoothing) {
  return cross_entropy(x, labels_of(x),
                       {.label_smoothing = smoothing, .reduction = Reduction::none});
}

/// 0 where the mask hides, so that what is hidden is not -inf but a number, or NaN.
Var filled(const Var& x, const Var& seen, double with) { return where(seen, x, with); }

const std::vector<Operator> operators{
    {"softmax", Kind::softmax, [](const Var& x, const Var&) { return softmax(x); }},
    {"softmax of columns", Kind::softmax,
     [](const Var& x, const Var&) {
       return transpose(softmax(contiguous(transpose(x)), {.axis = 0}));
     }},
    {"softmax with a mask", Kind::softmax,
     [](const Var& x, const Var& seen) { return softmax(filled(x, seen, 7), {.mask = seen}); }},
    {"log_softmax", Kind::log_softmax, [](const Var& x, const Var&) { return log_softmax(x); }},
    {"log_softmax of columns", Kind::log_softmax,
     [](const Var& x, const Var&) {
       return transpose(log_softmax(contiguous(transpose(x)), {.axis = 0}));
     }},
    {"logsumexp", Kind::logsumexp, [](const Var& x, const Var&) { return logsumexp(x, -1); }},
    {"logsumexp of columns", Kind::logsumexp,
     [](const Var& x, const Var&) { return logsumexp(contiguous(transpose(x)), 0); }},
    {"logsumexp of a view", Kind::logsumexp,
     [](const Var& x, const Var&) { return logsumexp(transpose(x), 0, true); }},
    {"cross_entropy", Kind::cross_entropy, [](const Var& x, const Var&) { return cross(x, 0); }},
    {"cross_entropy, smoothed", Kind::cross_entropy,
     [](const Var& x, const Var&) { return cross(x, 0.25F); }, 0.25, false}};

/// What an operator has to give of one row, and its gradients for g and u.
struct Right {
  std::vector<Exact> value, first, second;

  template <class T>
  Right(const Operator& op, const SoftmaxRow& row, int64_t label, const T* g, const T* u) {
    const size_t n = row.p.size();
    std::vector<Exact> of(g, g + n), along(u, u + n);
    first.assign(n, 0);
    second.assign(n, 0);
    if (op.kind == Kind::softmax) {
      value = row.p;
      first = row.first(of);
      second = row.second(of, along);
      return;
    }
    // Of sum g log p, with a g of its own for the loss; of log-sum-exp that of -log p without x.
    Exact sum = 0;
    if (op.kind == Kind::log_softmax) {
      value = row.log_p;
    } else if (op.kind == Kind::logsumexp) {
      value = {row.none() ? row.largest : row.largest + row.log_sum};
      sum = -of[0];
      of.assign(n, 0);
    } else {
      const Exact upstream = of[0];
      Exact loss = 0;
      for (size_t j = 0; j < n; ++j) {
        const Exact share = (j == size_t(label) ? 1 - op.smoothing : 0) + op.smoothing / Exact(n);
        if (share != 0) loss -= share * row.log_p[j];
        of[j] = -upstream * share;
      }
      value = {loss};
    }
    if (row.none()) return;
    for (const Exact x : of) sum += x;
    const Exact mean = row.mean(along);
    for (size_t j = 0; j < n; ++j) {
      first[j] = of[j] - row.p[j] * sum;
      second[j] = -sum * row.p[j] * (along[j] - mean);
    }
  }
};

template <class T>
void check(const Operator& op, int64_t width) {
  const Scores<T> s(width, op.holes);
  std::vector<T> g = some<T>(s.rows * width, 1), u = some<T>(s.rows * width, 2);
  for (int64_t i = 0; i < s.rows; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      // A gradient of a logarithm that is -inf belongs to no loss.
      if (s.hidden(i, j) && i + 1 < s.rows) g[size_t(i * width + j)] = 0;
      // One for each row.
      if (op.kind != Kind::softmax && op.kind != Kind::log_softmax) {
        g[size_t(i * width + j)] = T(0.5) + T(i) / 8;
      }
    }
  }
  const Tape tape;
  const Var x = as_var(tensor(s.x, {s.rows, width}));
  const Var y = op.apply(x, x > full({}, -infinity, type_of<T>));
  Var of = as_var(tensor(g, {s.rows, width}));
  if (y.shape().size() != x.shape().size()) of = reshape(select(of, 1, 0), y.shape());
  const Derivatives d(y, of, x, as_var(tensor(u, {s.rows, width})));
  Executor::current().run({y, d.first, d.second});
  std::vector<Exact> value, first, second;
  for (int64_t i = 0; i < s.rows; ++i) {
    const Right right(op, SoftmaxRow(s.row(i), width), (i * 5) % width, &g[size_t(i * width)],
                      &u[size_t(i * width)]);
    value.insert(value.end(), right.value.begin(), right.value.end());
    first.insert(first.end(), right.first.begin(), right.first.end());
    second.insert(second.end(), right.second.begin(), right.second.end());
  }
  // Sums of some hundred terms of size 1 at the most.
  const double close = 16 * epsilon<T>;
  const std::string what = op.name + " of " + std::to_string(width) + ": ";
  check_near(what + "value", contiguous(y).value().template to_vector<double>(), value, close);
  check_near(what + "gradient", d.first.value().template to_vector<double>(), first, close);
  check_near(what + "second derivative", d.second.value().template to_vector<double>(), second,
             close);
}

/// An utterance's loss from all its paths, and derivatives by the logits.
struct Paths {
  Exact loss;
  std::vector<Exact> first, second;

  template <class T>
  Paths(const std::vector<T>& x, int64_t times, int64_t classes, const std::vector<int32_t>& target,
        const std::vector<T>& u)
      : first(x.size(), 0), second(x.size(), 0) {
    std::vector<SoftmaxRow> rows;
    for (int64_t t = 0; t < times; ++t) rows.emplace_back(&x[size_t(t * classes)], classes);
    int64_t count = 1;
    for (int64_t t = 0; t < times; ++t) count *= classes;
    Exact total = 0, mean_dot = 0;
    std::vector<Exact> share(x.size(), 0), with_dot(x.size(), 0);
    for (int64_t path = 0; path < count; ++path) {
      std::vector<int32_t> label, collapsed;
      for (int64_t t = 0, rest = path; t < times; ++t, rest /= classes) {
        label.push_back(int32_t(rest % classes));
        if (label.back() == 0) continue;
        if (t == 0 || label[size_t(t)] != label[size_t(t - 1)]) collapsed.push_back(label.back());
      }
      if (collapsed != target) continue;
      Exact p = 1, dot = 0;
      for (size_t t = 0; t < label.size(); ++t) {
        const auto v = size_t(label[t]);
        p *= rows[t].p[v];
        dot += Exact(u[t * size_t(classes) + v]);
      }
      total += p;
      mean_dot += p * dot;
      for (size_t t = 0; t < label.size(); ++t) {
        share[t * size_t(classes) + size_t(label[t])] += p;
        with_dot[t * size_t(classes) + size_t(label[t])] += p * dot;
      }
    }
    loss = -std::log(total);
    if (total == 0) return;
    // Of sum over t of log-sum-exp(x_t) - log of the sum over paths of exp(sum of x on the path).
    for (size_t i = 0; i < x.size(); ++i) {
      const SoftmaxRow& row = rows[i / size_t(classes)];
      const size_t v = i % size_t(classes);
      const Exact mean = row.mean(std::vector<T>(u.begin() + int64_t(i - v), u.end()));
      first[i] = row.p[v] - share[i] / total;
      second[i] = row.p[v] * (Exact(u[i]) - mean) -
                  (with_dot[i] / total - share[i] / total * mean_dot / total);
    }
  }
};

}  // namespace

TEMPLATE_TEST_CASE("rows of scores keep value and gradients under any offset", "[offset]", float,
                   double) {
  for (const Operator& op : operators) {
    for (const int64_t width : {2, 5, 16, 70}) check<TestType>(op, width);
  }
}

TEMPLATE_TEST_CASE("log-sum-exp in pieces, and of axes that are apart, under any offset",
                   "[offset]", float, double) {
  using T = TestType;
  // Rows of more than one chunk; and slices whose axes are no neighbours.
  const auto apart = [](const Var& x) { return logsumexp(reshape(x, {5, 4, 30000}), {0, 2}); };
  const auto rows = [](const Var& x) {
    return logsumexp(permute(reshape(x, {5, 4, 30000}), {1, 0, 2}), {1, 2}, true);
  };
  for (const bool is_apart : {true, false}) {
    for (const T offset : offsets<T>()) {
      std::vector<T> x;
      for (int64_t i = 0; i < 600000; ++i) x.push_back(T(small<T>(i / 977, i % 977) + offset));
      const Tape tape;
      const Var scores = as_var(tensor(x, {600000}));
      const Var y = is_apart ? apart(scores) : rows(scores);
      const std::vector<double> g = grad(sum(y), {scores})[0].value().template to_vector<double>();
      INFO("offset " << offset);
      CHECK(y.shape() == (is_apart ? Shape{4} : Shape{4, 1, 1}));
      for (int64_t k = 0; k < 4; ++k) {
        std::vector<T> of;
        std::vector<double> found;
        for (int64_t i = 0; i < 600000; ++i) {
          if (i / 30000 % 4 != k) continue;
          of.push_back(x[size_t(i)]);
          found.push_back(g[size_t(i)]);
        }
        const SoftmaxRow row(of.data(), int64_t(of.size()));
        Exact sum = 0;
        for (const double p : found) sum += p;
        CHECK(std::abs(sum - 1) < 64 * epsilon<T>);
        check_near("value", {y.value().template to_vector<double>()[size_t(k)]},
                   {row.largest + row.log_sum}, 4 * epsilon<T>);
        // Each is some 1e-5.
        check_near("gradient", found, row.p, 1e-4 * epsilon<T> * 64);
      }
    }
  }
}

TEMPLATE_TEST_CASE("scores that differ by more than the largest number", "[offset]", float,
                   double) {
  using T = TestType;
  constexpr T largest = std::numeric_limits<T>::max();
  const std::vector<double> one{0, 1, 0};
  const Tape tape;
  const Var x = as_var(tensor(std::vector<T>{-largest, largest, T(-INFINITY)}, {1, 3}));
  CHECK(softmax(x).value().template to_vector<double>() == one);
  CHECK(log_softmax(x).value().template to_vector<double>() ==
        std::vector<double>{-infinity, 0, -infinity});
  CHECK(grad(logsumexp(x), {x})[0].value().template to_vector<double>() == one);
  const Var label = as_var(tensor<int32_t>({1}));
  CHECK(cross_entropy(x, label).item() == 0);
  CHECK(grad(cross_entropy(x, label), {x})[0].value().template to_vector<double>() ==
        std::vector<double>{0, 0, 0});
}

TEST_CASE("log_softmax of nothing but -inf, with and without a mask") {
  const Tape tape;
  const Var x = as_var(full({2, 3}, -infinity));
  const Var some = as_var(reshape(tensor<bool>({true, true, false, true, true, false}), {2, 3}));
  const Var none = as_var(zeros({2, 3}, DType::boolean));
  const std::vector<double> zero(6, 0), hidden(6, -infinity);
  for (const Var& y : {log_softmax(x), log_softmax(x, {.mask = some})}) {
    CHECK(y.value().to_vector<double>() == hidden);
    CHECK(grad(sum(y), {x})[0].value().to_vector<double>() == zero);
  }
  const Var nothing = log_softmax(x, {.mask = none});
  CHECK(nothing.value().to_vector<double>() == zero);
  CHECK(grad(sum(nothing), {x})[0].value().to_vector<double>() == zero);
}

TEMPLATE_TEST_CASE("ctc_loss keeps value and gradients under any offset", "[offset]", float,
                   double) {
  using T = TestType;
  const std::vector<T> by = offsets<T>();
  constexpr int64_t times = 4, classes = 3;
  const std::vector<T> u = some<T>(times * classes, 3);
  for (const std::vector<int32_t>& target :
       {std::vector<int32_t>{1, 2}, std::vector<int32_t>{2, 2}, std::vector<int32_t>{1, 0}}) {
    const std::vector<int32_t> labels(target.begin(), std::find(target.begin(), target.end(), 0));
    for (size_t first = 0; first < by.size() + 2; ++first) {
      // Each time has an offset of its own; in the end a score of -inf, and a time of nothing else.
      std::vector<T> x;
      for (int64_t t = 0; t < times; ++t) {
        const T offset = by[(first + size_t(t)) % by.size()];
        for (int64_t v = 0; v < classes; ++v) x.push_back(T(small<T>(t, v) + offset));
      }
      if (first == by.size()) x[classes + 1] = T(-INFINITY);
      if (first == by.size() + 1) std::fill_n(x.begin() + classes, classes, T(-INFINITY));
      const Paths right(x, times, classes, labels, u);
      const Tape tape;
      const Var logits = as_var(tensor(x, {1, times, classes}));
      const Var loss =
          ctc_loss(logits, tensor(target, {1, 2}), tensor<int32_t>({int32_t(times)}),
                   tensor<int32_t>({int32_t(labels.size())}), {.reduction = Reduction::none});
      const Derivatives d(loss, as_var(tensor(std::vector<T>{1}, {1})), logits,
                          as_var(tensor(u, {1, times, classes})));
      const std::string what =
          "from offset " + std::to_string(first) + ", " + std::to_string(labels.size()) + ": ";
      const double close = 32 * epsilon<T>;
      check_near(what + "loss", loss.value().template to_vector<double>(), {right.loss}, close);
      check_near(what + "gradient", d.first.value().template to_vector<double>(), right.first,
                 close);
      check_near(what + "second derivative", d.second.value().template to_vector<double>(),
                 right.second, close);
    }
  }
}

TEMPLATE_TEST_CASE("additive attention under any offset", "[offset]", float, double) {
  using T = TestType;
  const std::vector<T> by = offsets<T>();
  const int64_t B = int64_t(by.size()), Tq = 3, Tk = 19, A = 2, M = 3;
  const std::vector<T> query = some<T>(B * Tq * A, 1), keys = some<T>(B * Tk * A, 2),
                       memory = some<T>(B * Tk * M, 3), g = some<T>(B * Tq * M, 4),
                       u = some<T>(B * Tq * Tk, 5);
  // With v = 0 the scores are the biases; the last query sees nothing.
  std::vector<T> x;
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t i = 0; i < Tq; ++i) {
      for (int64_t j = 0; j < Tk; ++j) {
        const bool hidden = i + 1 == Tq || (i + j) % 4 == 3;
        x.push_back(hidden ? T(-INFINITY) : T(small<T>(i, j + b) + by[size_t(b)]));
      }
    }
  }
  const Tape tape;
  const Var bias = as_var(tensor(x, {B, 1, Tq, Tk})), v = as_var(zeros({A}, type_of<T>));
  const Var y = additive_attention(tensor(query, {B, Tq, A}), tensor(keys, {B, Tk, A}), v,
                                   tensor(memory, {B, Tk, M}), additive(bias));
  const std::vector<Var> found = grad(sum(y * tensor(g, {B, Tq, M})), {bias, v});
  const Var second = grad(sum(found[0] * tensor(u, {B, 1, Tq, Tk})), {bias})[0];
  std::vector<Exact> out, w, ds, dd, dv(A, 0);
  for (int64_t row = 0; row < B * Tq; ++row) {
    const int64_t b = row / Tq;
    const SoftmaxRow of(&x[size_t(row * Tk)], Tk);
    std::vector<Exact> dot(size_t(Tk), 0), mean(size_t(M), 0);
    for (int64_t j = 0; j < Tk; ++j) {
      for (int64_t m = 0; m < M; ++m) {
        const Exact value = memory[size_t((b * Tk + j) * M + m)];
        dot[size_t(j)] += Exact(g[size_t(row * M + m)]) * value;
        mean[size_t(m)] += of.p[size_t(j)] * value;
      }
    }
    const std::vector<Exact> d = of.first(dot);
    const std::vector<Exact> h =
        of.second(dot, std::vector<Exact>(u.begin() + row * Tk, u.begin() + (row + 1) * Tk));
    for (int64_t j = 0; j < Tk; ++j) {
      for (int64_t a = 0; a < A; ++a) {
        dv[size_t(a)] += d[size_t(j)] * std::tanh(Exact(query[size_t(row * A + a)]) +
                                                  Exact(keys[size_t((b * Tk + j) * A + a)]));
      }
    }
    out.insert(out.end(), mean.begin(), mean.end());
    w.insert(w.end(), of.p.begin(), of.p.end());
    ds.insert(ds.end(), d.begin(), d.end());
    dd.insert(dd.end(), h.begin(), h.end());
  }
  const double close = 64 * epsilon<T>;
  check_near("context", values_of(y), out, close);
  check_near("weights", values_of(y.output(1)), w, close);
  check_near("gradient of scores", values_of(found[0]), ds, close);
  check_near("gradient of v", values_of(found[1]), dv, close);
  check_near("second derivative", values_of(second), dd, close);
}

TEMPLATE_TEST_CASE("cached attention under any offset", "[offset]", float, double) {
  using T = TestType;
  // A head for each offset, and one that sees nothing; the last step is the one that is written.
  std::vector<T> by = offsets<T>();
  by.push_back(T(-INFINITY));
  const int64_t H = int64_t(by.size()), steps = 11;
  std::vector<T> q, keys, values = some<T>(steps * H, 2), bias;
  for (int64_t h = 0; h < H; ++h) q.push_back(T(h % 5 - 2) / 2);
  for (int64_t i = 0; i < steps * H; ++i) keys.push_back(small<T>(i, 3));
  for (int64_t h = 0; h < H; ++h) {
    for (int64_t t = 0; t < steps; ++t) bias.push_back(by[size_t(h)]);
  }
  std::vector<Exact> out;
  for (size_t h = 0; h < size_t(H); ++h) {
    std::vector<T> x, v;
    for (size_t t = 0; t < size_t(steps); ++t) {
      x.push_back(T(q[h] * keys[t * size_t(H) + h] + by[h]));
      v.push_back(values[t * size_t(H) + h]);
    }
    out.push_back(SoftmaxRow(x.data(), steps).mean(v));
  }
  const KeyValueCache cache{tensor(keys, {steps, 1, H, 1}), tensor(values, {steps, 1, H, 1})};
  const auto last = [&](const std::vector<T>& x) {
    return tensor(std::vector<T>(x.end() - H, x.end()), {1, H, 1});
  };
  const Tape tape;
  const Var y = cached_attention(
      tensor(q, {1, H, 1}), last(keys), last(values), cache, zeros({1, steps}, DType::int32),
      tensor<int32_t>({int32_t(steps - 1)}), 1, as_var(tensor(bias, {H, steps})));
  check_near("output", values_of(y), out, 64 * epsilon<T>);
}

}  // namespace rapt::test
