// Single operators, the cost of recording and planning, and the limits of the processor.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "bench/bench.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/attention/attention.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd/peak.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/loss.hpp"
#include "ops/rows/norm.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/embedding.hpp"
#include "ops/shape/shape.hpp"
#include "optim/update.hpp"

namespace bench {
namespace {

using namespace rapt;

const Key key{1};

// ---- products -----------------------------------------------------------------------------------

/// Throws if an element of a product, [.., m, n], differs from the dot product of its row and
/// column.
void check_product(const Settings& s, const Tensor& a, const Tensor& b, const Tensor& c) {
  const int64_t m = s["m"], n = s["n"], k = s["k"], last = s["batch"] - 1;
  const std::span<const float> x = a.data<float>(), y = b.data<float>(), z = c.data<float>();
  const auto at = [](std::span<const float> p, int64_t i) {
    return static_cast<double>(p[static_cast<size_t>(i)]);
  };
  for (const auto& [i, j] : {std::pair{int64_t{0}, n - 1}, {m / 2, n / 2}, {m - 1, int64_t{0}}}) {
    double expected = 0, size = 0;
    for (int64_t l = 0; l < k; ++l) {
      const double term = at(x, last * m * k + (s["ta"] != 0 ? l * m + i : i * k + l)) *
                          at(y, last * k * n + (s["tb"] != 0 ? j * k + l : l * n + j));
      expected += term;
      size += std::abs(term);
    }
    if (!(std::abs(at(z, last * m * n + i * n + j) - expected) <= 1e-5 * size)) {
      throw std::runtime_error(fmt::format("the product is wrong at [{}, {}]", i, j));
    }
  }
}

/// Measures C = A B. ta, tb: the operand is stored transposed.
void gemm(const Settings& s) {
  const int64_t m = s["m"], n = s["n"], k = s["k"], batch = s["batch"];
  const bool ta = s["ta"] != 0, tb = s["tb"] != 0;
  const auto operand = [&](uint64_t i, int64_t rows, int64_t columns) {
    return batch > 1 ? normal(key.fold(i), {batch, rows, columns})
                     : normal(key.fold(i), {rows, columns});
  };
  const Tensor a = operand(0, ta ? k : m, ta ? m : k), b = operand(1, tb ? n : k, tb ? k : n);
  Tensor c;
  const Timing timing = repeat(
      [&] {
        Tape tape;
        const Var x = ta ? transpose(a) : as_var(a);
        const Var y = tb ? transpose(b) : as_var(b);
        // Frees the old result, as in a loop where each pass has its own result.
        c = Tensor();
        c = matmul(x, y).value();
      },
      s.seconds());
  const auto flops = 2.0 * static_cast<double>(m * n) * static_cast<double>(k * batch);
  report(s, timing, {{"gflops", giga(flops, timing)}});
  check_product(s, a, b, c);
}

// ---- operators, forward and backward ------------------------------------------------------------

void attention_workload(const Settings& s) {
  const int64_t b = s["b"], h = s["h"], t = s["t"], d = s["d"];
  const Shape shape{b, h, t, d};
  const Tensor q = normal(key.fold(0), shape), k = normal(key.fold(1), shape),
               v = normal(key.fold(2), shape), seed = normal(key.fold(3), shape);
  AttentionOptions options;
  if (s["causal"] != 0) options.mask = causal();
  const Tensor slopes = score::alibi_slopes(h);
  const int64_t score = s["score"];  // none, alibi, ALiBi with learned slopes, softcap
  if (score == 1) options.score = score::alibi(slopes);
  if (score == 3) options.score = score::softcap(30);
  const bool train = s["train"] != 0;
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        const Var qv = as_var(q), kv = as_var(k), vv = as_var(v);
        if (score == 2) {
          const Var learned = as_var(slopes);
          options.score = score::alibi(learned);
          const Var y = attention(qv, kv, vv, options);
          results = forward_backward(y, seed, {qv, kv, vv, learned});
          return;
        }
        const Var y = attention(qv, kv, vv, options);
        if (train) {
          results = forward_backward(y, seed, {qv, kv, vv});
        } else {
          results = {y.value()};
        }
      },
      s.seconds());
  // Forward has two products. Training counts 12 in all, as other libraries do. A causal mask does
  // not halve the count.
  const double flops =
      (train ? 12.0 : 4.0) * static_cast<double>(b * h * t) * static_cast<double>(t * d);
  report(s, timing, {{"gflops_nominal", giga(flops, timing)}});
  for (Tensor& result : results) result = result.clone();  // views of [B, T, H, D]
  check_all(results, s);
}

double array_bytes(const Settings& s) { return 4.0 * static_cast<double>(s["rows"] * s["cols"]); }

void softmax_workload(const Settings& s) {
  const Shape shape{s["rows"], s["cols"]};
  const Tensor x = normal(key.fold(0), shape), seed = normal(key.fold(1), shape);
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        const Var xv = as_var(x);
        results = forward_backward(softmax(xv), seed, {xv});
      },
      s.seconds());
  report(s, timing, {{"gb_per_s", giga(5 * array_bytes(s), timing)}});
  check_all(results, s);
}

void layernorm_workload(const Settings& s) {
  const Shape shape{s["rows"], s["cols"]};
  const Tensor x = normal(key.fold(0), shape), seed = normal(key.fold(1), shape);
  const Parameter weight(full({s["cols"]}, 1)), bias(zeros({s["cols"]}));
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        const Var xv = as_var(x), w = as_var(weight), b = as_var(bias);
        results = forward_backward(layer_norm(xv, w, b), seed, {xv, w, b});
      },
      s.seconds());
  report(s, timing, {{"gb_per_s", giga(5 * array_bytes(s), timing)}});
  check_all(results, s);
}

void crossentropy_workload(const Settings& s) {
  const int64_t rows = s["rows"], cols = s["cols"];
  const Tensor x = normal(key.fold(0), {rows, cols});
  const Tensor labels = random_ids(key.fold(1), {rows}, 0, cols);
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        const Var xv = as_var(x);
        const Var loss = cross_entropy(xv, labels, {.label_smoothing = 0.1});
        const Var gradient = grad(loss, {xv})[0];
        Executor::current().run({loss, gradient});
        results = {loss.value(), gradient.value()};
      },
      s.seconds());
  report(s, timing, {{"gb_per_s", giga(3 * array_bytes(s), timing)}});
  check_all(results, s);
}

void embedding_workload(const Settings& s) {
  const int64_t rows = s["rows"], cols = s["cols"], n = s["ids"];
  const Tensor table = normal(key.fold(0), {rows, cols}), seed = normal(key.fold(1), {n, cols});
  const Tensor ids = random_ids(key.fold(2), {n}, 0, rows);
  const bool train = s["train"] != 0;
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        const Var weight = as_var(table);
        const Var y = embedding(ids, weight);
        if (train) {
          results = forward_backward(y, seed, {weight});
        } else {
          results = {y.value()};
        }
      },
      s.seconds());
  // Forward copies n rows. Backward adds n rows to an array of the table's size.
  const auto copied = 8.0 * static_cast<double>(n * cols);
  const auto added = 4.0 * static_cast<double>((n + rows) * cols);
  report(s, timing, {{"gb_per_s", giga(train ? copied + added : copied, timing)}});
  check_all(results, s);
}

/// Measures a user-defined recurrent cell, h = tanh(W h + b), recorded step by step.
void cell_workload(const Settings& s) {
  const int64_t b = s["b"], hidden = s["hidden"], steps = s["len"];
  const bool train = s["train"] != 0;
  const Parameter weight(normal(key.fold(0), {hidden, hidden}, 0, 0.05)), bias(zeros({hidden}));
  const Tensor start = normal(key.fold(1), {b, hidden}), seed = normal(key.fold(2), {b, hidden});
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        Var h = as_var(start);
        for (int64_t t = 0; t < steps; ++t) h = linear(h, weight, bias, Activation::tanh);
        if (train) {
          results = forward_backward(h, seed, {as_var(weight), as_var(bias)});
        } else {
          results = {h.value()};
        }
      },
      s.seconds());
  const double flops =
      (train ? 6.0 : 2.0) * static_cast<double>(b * steps) * static_cast<double>(hidden * hidden);
  report(s, timing, {{"gflops", giga(flops, timing)}});
  check_all(results, s);
}

// ---- updates ------------------------------------------------------------------------------------

/// Repeats the update `op` of a parameter of n numbers along a fixed gradient. `slots` is the
/// number of arrays that the update keeps.
void update_workload(const Settings& s, StaticOp op, int slots, const Tensor& numbers) {
  const Shape shape{s["n"]};
  const Parameter parameter(normal(key.fold(0), shape));
  const Tensor gradient = normal(key.fold(1), shape);
  std::vector<Tensor> kept;
  for (int i = 0; i < slots; ++i) kept.push_back(zeros(shape));
  const Timing timing = repeat(
      [&] {
        Tape tape;
        std::vector<Arg> inputs{parameter};
        for (const Tensor& slot : kept) inputs.emplace_back(slot);
        inputs.emplace_back(gradient);
        inputs.emplace_back(numbers);
        Executor::current().run({record(op, inputs)});
      },
      s.seconds());
  // The gradient is read; parameter and slots are read and written.
  const double bytes = 4.0 * (3 + 2 * slots) * static_cast<double>(s["n"]);
  report(s, timing, {{"gb_per_s", giga(bytes, timing)}});
  kept.push_back(parameter.value());
  check_all(kept, s);
}

void sgd_workload(const Settings& s) {
  const Tensor numbers =
      numbers_tensor(kernels::SgdNumbers{.lr = 1e-6, .momentum = 0.9, .decay = 0, .nesterov = 0});
  const bool momentum = s["momentum"] != 0;
  update_workload(s, momentum ? StaticOp(sgd_momentum_op) : StaticOp(sgd_op), momentum ? 1 : 0,
                  numbers);
}

void adam_workload(const Settings& s) {
  const Tensor numbers = numbers_tensor(kernels::AdamNumbers{
      .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .step = 1e-6, .root = 1, .shrink = 1, .decay = 0});
  update_workload(s, adam_op, 2, numbers);
}

// ---- recording and planning ---------------------------------------------------------------------

/// Records nodes / 2 repetitions of x * c + c.
Var chain(const Var& start, const Var& c, int64_t nodes) {
  Var x = start;
  for (int64_t i = 0; i < nodes / 2; ++i) x = x * c + c;
  return x;
}

/// Measures a chain of tiny operators, forward and backward: the overhead per node.
void overhead(const Settings& s) {
  const int64_t nodes = s["nodes"];
  const Tensor a = normal(key, {s["width"]}), c = full({s["width"]}, 0.999);
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        const Var x = as_var(a);
        const Var loss = sum(chain(x, as_var(c), nodes));
        const Var gradient = grad(loss, {x})[0];
        Executor::current().run({loss, gradient});
        results = {loss.value(), gradient.value()};
      },
      s.seconds());
  report(s, timing, {{"ns_per_node", timing.median / static_cast<double>(nodes) * 1e9}});
  check_all(results, s);
}

/// Records the chain of overhead() without running it.
void record_workload(const Settings& s) {
  const Tensor a = normal(key, {s["width"]}), c = full({s["width"]}, 0.999);
  size_t recorded = 0;
  const Timing timing = repeat(
      [&] {
        Tape tape;
        chain(as_var(a), as_var(c), s["nodes"]);
        recorded = tape.size();
      },
      s.seconds());
  report(s, timing, {{"ns_per_node", timing.median / static_cast<double>(recorded) * 1e9}});
}

// ---- the processor's limits ---------------------------------------------------------------------

/// Calls work(0) ... work(threads - 1), each on its own thread.
void on_threads(int threads, const std::function<void(int)>& work) {
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
}

/// Measures the rates of multiply-adds in registers, and of reading, writing and copying `mb`
/// megabytes per thread, for 1 .. THREADS threads. A copy counts the bytes read and those written.
void peak(const Settings& s) {
  const auto& kernels = rapt::kernels::kernels<rapt::kernels::PeakKernels>();
  constexpr int64_t rounds = 1000000;
  const int64_t n = s["mb"] * 1000000 / 4;
  const auto bytes = 4.0 * static_cast<double>(n);
  std::vector<Tensor> from, to;
  std::vector<float> sinks(static_cast<size_t>(s.threads()));
  for (int i = 0; i < s.threads(); ++i) {
    from.push_back(full({n}, 1));
    to.push_back(zeros({n}));
  }
  const auto measure = [&](int threads, const char* figure, double amount, auto&& work) {
    const Timing timing = repeat(
        [&] { on_threads(threads, [&](int i) { work(static_cast<size_t>(i)); }); }, s.seconds());
    report(s, threads, timing, {{figure, giga(amount * threads, timing)}});
  };
  for (int threads = 1; threads <= s.threads(); ++threads) {
    measure(threads, "fma_gflops", static_cast<double>(rounds * kernels.flops_per_round),
            [&](size_t i) { sinks[i] = kernels.multiply_add(rounds); });
    measure(threads, "read_gb_per_s", bytes,
            [&](size_t i) { sinks[i] = kernels.read(from[i].data<float>().data(), n); });
    measure(threads, "write_gb_per_s", bytes,
            [&](size_t i) { kernels.write(to[i].data<float>().data(), 2, n); });
    measure(threads, "copy_gb_per_s", 2 * bytes, [&](size_t i) {
      kernels.copy(from[i].data<float>().data(), to[i].data<float>().data(), n);
    });
  }
  for (const float sink : sinks) {
    if (!(sink > 0)) throw std::runtime_error("peak: a loop was left out");
  }
}

}  // namespace

Tensor random_ids(Key k, const Shape& shape, int64_t low, int64_t high) {
  Tensor ids(shape, DType::int32);
  uint64_t i = 0;
  for (int32_t& id : ids.data<int32_t>()) {
    id = static_cast<int32_t>(low + k.below(high - low, i++));
  }
  return ids;
}

std::vector<Workload> kernel_workloads() {
  const std::vector<Setting> rows{{"rows", 4096}, {"cols", 512}};
  return {
      {"gemm",
       {{"m", 512}, {"n", 512}, {"k", 512}, {"ta", 0, 0, 1}, {"tb", 0, 0, 1}, {"batch", 1}},
       gemm},
      {"attention",
       {{"b", 8},
        {"h", 8},
        {"t", 512},
        {"d", 64},
        {"causal", 0, 0, 1},
        {"train", 1, 0, 1},
        {"score", 0, 0, 3, true, {"none", "alibi", "learned", "softcap"}}},
       attention_workload},
      {"cell", {{"b", 64}, {"hidden", 512}, {"len", 32}, {"train", 1, 0, 1}}, cell_workload},
      {"softmax", rows, softmax_workload},
      {"layernorm", rows, layernorm_workload},
      {"crossentropy", {{"rows", 1024}, {"cols", 8000}}, crossentropy_workload},
      {"embedding",
       {{"rows", 8000}, {"cols", 512}, {"ids", 2048}, {"train", 1, 0, 1}},
       embedding_workload},
      {"sgd", {{"n", 4e6}, {"momentum", 0, 0, 1}}, sgd_workload},
      {"adam", {{"n", 4e6}}, adam_workload},
      {"overhead", {{"nodes", 2000, 2}, {"width", 8}}, overhead},
      {"record", {{"nodes", 2000, 2}, {"width", 8}}, record_workload},
      {"peak", {{"mb", 256}}, peak},
  };
}

}  // namespace bench
