// What the table of operators does not show of recurrent cells: sizes that are split into tasks,
// padding, loops of cells, and errors.
#include "ops/recurrent/recurrent.hpp"

#include <cmath>
#include <cstring>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

const Key key{11};

Tensor drawn(uint64_t id, const Shape& shape, DType dtype = DType::float64) {
  return uniform(key.fold(id), shape, -1, 1, dtype);
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

/// The values behind handles, computed together.
std::vector<Tensor> values(const std::vector<Var>& vars) {
  Executor::current().run(vars);
  std::vector<Tensor> results;
  for (const Var& var : vars) results.push_back(var.value().clone());
  return results;
}

struct Sizes {
  int64_t T, B, H;
};

enum class Cell { gru, lstm };

struct Inputs {
  Cell cell;
  std::vector<Tensor> tensors;  // gates_x, weight, bias, h0, and for an LSTM c0
  Tensor lengths;

  Inputs(Cell kind, Sizes s, const std::vector<int32_t>& row_lengths, DType dtype = DType::float64)
      : cell(kind) {
    const int64_t gates = (kind == Cell::gru ? 3 : 4) * s.H;
    tensors = {drawn(0, {s.T, s.B, gates}, dtype), drawn(1, {gates, s.H}, dtype),
               drawn(2, {gates}, dtype), drawn(3, {s.B, s.H}, dtype)};
    if (kind == Cell::lstm) tensors.push_back(drawn(4, {s.B, s.H}, dtype));
    if (!row_lengths.empty()) lengths = tensor(row_lengths, {s.B});
  }

  std::vector<Var> vars() const {
    std::vector<Var> result;
    for (const Tensor& each : tensors) result.push_back(as_var(each));
    return result;
  }
  Var lengths_var() const { return lengths ? as_var(lengths) : Var(); }
};

/// The states of all steps by the operator for whole sequences, then the gradients of their
/// weighted sum.
std::vector<Tensor> by_sequence(const Inputs& in, bool reverse = false) {
  Tape tape;
  const std::vector<Var> v = in.vars();
  const RecurrentSequence options{.lengths = in.lengths_var(), .reverse = reverse};
  const Var states = in.cell == Cell::gru
                         ? gru_sequence(v[0], v[3], v[1], v[2], options)
                         : lstm_sequence(v[0], {v[3], v[4]}, v[1], v[2], options).h;
  const Tensor weights = drawn(9, states.shape(), states.dtype());
  std::vector<Var> wanted{states};
  for (const Var& g : grad(sum(states * weights), v)) wanted.push_back(g);
  return values(wanted);
}

/// The same by a loop of single steps.
std::vector<Tensor> by_steps(const Inputs& in, bool reverse = false) {
  Tape tape;
  const std::vector<Var> v = in.vars();
  const Var lengths = in.lengths_var();
  const int64_t T = v[0].size(0);
  std::vector<Var> states(static_cast<size_t>(T));
  LstmState state{v[3], in.cell == Cell::lstm ? v[4] : Var()};
  for (int64_t i = 0; i < T; ++i) {
    const int64_t t = reverse ? T - 1 - i : i;
    const Var gates = select(v[0], 0, t);
    const RecurrentStep options{.lengths = lengths, .step = t};
    if (in.cell == Cell::gru) {
      state.h = gru_gates(gates, state.h, v[1], v[2], options);
    } else {
      state = lstm_gates(gates, state, v[1], v[2], options);
    }
    states[static_cast<size_t>(t)] = state.h;
  }
  const Var all = stack(states, 0);
  const Tensor weights = drawn(9, all.shape(), all.dtype());
  std::vector<Var> wanted{all};
  for (const Var& g : grad(sum(all * weights), v)) wanted.push_back(g);
  return values(wanted);
}

TEST_CASE("a sequence is a loop of steps, in values and in gradients") {
  for (const Cell cell : {Cell::gru, Cell::lstm}) {
    for (const bool reverse : {false, true}) {
      for (const auto& lengths :
           {std::vector<int32_t>{}, std::vector<int32_t>{5, 0, 3, 1, 4, 5, 2}}) {
        // 7 rows of 33: tails of vectors and of tiles
        const Inputs in(cell, {5, 7, 33}, lengths);
        const std::vector<Tensor> sequence = by_sequence(in, reverse);
        const std::vector<Tensor> steps = by_steps(in, reverse);
        REQUIRE(sequence.size() == steps.size());
        for (size_t i = 0; i < steps.size(); ++i) {
          INFO("value " << i << (reverse ? ", reverse" : ""));
          // Rounding of sums over 7 * 5 rows in double.
          CHECK(largest_difference(sequence[i], steps[i]) < 1e-11);
        }
      }
    }
  }
}

TEST_CASE("a padded sentence has the states and gradients that it has alone") {
  const std::vector<int32_t> lengths{6, 2, 0, 4};
  for (const Cell cell : {Cell::gru, Cell::lstm}) {
    for (const bool reverse : {false, true}) {
      const Inputs batch(cell, {6, 4, 5}, lengths);
      const std::vector<Tensor> together = by_sequence(batch, reverse);
      for (int64_t b = 0; b < 4; ++b) {
        const int64_t T = lengths[static_cast<size_t>(b)];
        Tape tape;
        const auto row_of = [&](const Tensor& states) {  // [T, B, n] -> [T, 1, n], padding off
          return slice(slice(as_var(states), 0, 0, T), 1, b, b + 1);
        };
        Inputs alone = batch;
        alone.lengths = Tensor();
        alone.tensors[0] = contiguous(row_of(batch.tensors[0])).value().clone();
        for (size_t i = 3; i < alone.tensors.size(); ++i) {
          alone.tensors[i] = contiguous(slice(as_var(batch.tensors[i]), 0, b, b + 1)).value();
        }
        if (T == 0) continue;
        std::vector<Var> v = alone.vars();
        const RecurrentSequence options{.reverse = reverse};
        const Var states = cell == Cell::gru
                               ? gru_sequence(v[0], v[3], v[1], v[2], options)
                               : lstm_sequence(v[0], {v[3], v[4]}, v[1], v[2], options).h;
        INFO("sentence " << b << (reverse ? ", reverse" : ""));
        CHECK(largest_difference(states.value(), contiguous(row_of(together[0])).value()) < 1e-14);
        // Only real places weighted: then the gradient of gates_x is that of the sentence alone.
        const Tensor weights = drawn(9, together[0].shape());
        const Var own_weights = row_of(weights);
        const Var own = grad(sum(states * own_weights), {v[0]})[0];
        const std::vector<Var> all = batch.vars();
        const RecurrentSequence padded{.lengths = batch.lengths_var(), .reverse = reverse};
        const Var padded_states =
            cell == Cell::gru ? gru_sequence(all[0], all[3], all[1], all[2], padded)
                              : lstm_sequence(all[0], {all[3], all[4]}, all[1], all[2], padded).h;
        const Var real = slice(slice(padded_states, 0, 0, T), 1, b, b + 1);
        const Tensor in_batch = grad(sum(real * own_weights), {all[0]})[0].value();
        CHECK(largest_difference(own.value(), contiguous(row_of(in_batch)).value()) < 1e-13);
        const Var padding = slice(slice(as_var(in_batch), 0, T), 1, b, b + 1);
        CHECK(sum(abs(padding)).item() == 0);
      }
    }
  }
}

TEST_CASE("no NaN or infinity in padding reaches a value, a gradient or a second derivative") {
  const std::vector<int32_t> lengths{6, 2, 0, 4};
  for (const Cell cell : {Cell::gru, Cell::lstm}) {
    for (const bool reverse : {false, true}) {
      for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
        const auto results = [&](double padding) {
          Inputs batch(cell, {6, 4, 5}, lengths);
          const Shape shape = batch.tensors[0].shape();  // [T, B, G H]
          batch.tensors[0] = batch.tensors[0].clone();
          double* x = batch.tensors[0].data<double>().data();
          for (int64_t t = 0; t < shape[0]; ++t) {
            for (int64_t b = 0; b < shape[1]; ++b) {
              if (t < lengths[static_cast<size_t>(b)]) continue;
              std::fill_n(x + (t * shape[1] + b) * shape[2], shape[2], padding);
            }
          }
          Tape tape;
          const std::vector<Var> v = batch.vars();
          const RecurrentSequence options{.lengths = batch.lengths_var(), .reverse = reverse};
          const Var states = cell == Cell::gru
                                 ? gru_sequence(v[0], v[3], v[1], v[2], options)
                                 : lstm_sequence(v[0], {v[3], v[4]}, v[1], v[2], options).h;
          std::vector<Var> all = grad(sum(states * drawn(9, states.shape())), v);
          Var bends;
          for (const Var& g : all) bends = bends.is_empty() ? sum(g * g) : bends + sum(g * g);
          for (const Var& g : grad(bends, v)) all.push_back(g);
          all.push_back(states);
          return values(all);
        };
        const std::vector<Tensor> clean = results(0), padded = results(bad);
        for (size_t i = 0; i < clean.size(); ++i) {
          INFO("result " << i << (reverse ? ", reverse" : ""));
          CHECK(clean[i].to_vector<double>() == padded[i].to_vector<double>());
        }
      }
    }
  }
}

TEST_CASE("no NaN in the padding of a step's input reaches the weights' gradients") {
  const int64_t B = 3, C = 4, H = 5;
  const Tensor lengths = tensor(std::vector<int32_t>{2, 1, 2}, {3});
  for (const int64_t gates : {3, 4}) {
    const auto results = [&](double padding) {
      Tensor x = drawn(1, {B, C}).clone();
      std::fill_n(x.data<double>().data() + C, C, padding);  // row 1 has ended
      Tape tape;
      const std::vector<Var> v{as_var(x),
                               as_var(drawn(2, {B, H})),
                               as_var(drawn(3, {gates * H, C})),
                               as_var(drawn(4, {gates * H, H})),
                               as_var(drawn(5, {gates * H})),
                               as_var(drawn(6, {gates * H}))};
      const RecurrentStep step{.lengths = as_var(lengths), .step = 1};
      const Var h = gates == 3 ? gru_cell(v[0], v[1], v[2], v[3], v[4], v[5], step)
                               : lstm_cell(v[0], {v[1], v[1]}, v[2], v[3], v[4], v[5], step).h;
      std::vector<Var> all = grad(sum(h * drawn(7, {B, H})), v);
      all.push_back(h);
      return values(all);
    };
    const std::vector<Tensor> clean = results(0), padded = results(std::nan(""));
    for (size_t i = 0; i < clean.size(); ++i) {
      CHECK(clean[i].to_vector<double>() == padded[i].to_vector<double>());
    }
  }
}

TEST_CASE("at padded places stands the state handed on") {
  const std::vector<int32_t> lengths{2, 0, 4};
  const Inputs in(Cell::gru, {4, 3, 5}, lengths);
  const std::vector<double> h0 = in.tensors[3].to_vector<double>();
  const std::vector<double> forward = by_sequence(in)[0].to_vector<double>();
  const std::vector<double> backward = by_sequence(in, true)[0].to_vector<double>();
  const auto at = [&](size_t t, size_t b, size_t j) { return (t * 3 + b) * 5 + j; };
  for (size_t j = 0; j < 5; ++j) {
    CHECK(forward[at(3, 0, j)] == forward[at(1, 0, j)]);
    CHECK(forward[at(3, 1, j)] == h0[at(0, 1, j)]);
    CHECK(backward[at(2, 0, j)] == h0[at(0, 0, j)]);
    CHECK(backward[at(0, 0, j)] != h0[at(0, 0, j)]);
  }
}

TEST_CASE("sequences large enough for several tasks give the same bits on any number of threads") {
  for (const Cell cell : {Cell::gru, Cell::lstm}) {
    const Inputs in(cell, {3, 70, 130}, {}, DType::float32);
    std::vector<std::vector<Tensor>> results;
    for (const int threads : {1, 2, 5}) {
      Executor executor({.threads = threads});
      const Executor::Use use(executor);
      results.push_back(by_sequence(in));
    }
    const std::vector<Tensor> steps = by_steps(in);
    for (size_t i = 0; i < steps.size(); ++i) {
      const auto bytes = static_cast<size_t>(steps[i].size()) * sizeof(float);
      CHECK(std::memcmp(results[0][i].bytes(), results[1][i].bytes(), bytes) == 0);
      CHECK(std::memcmp(results[0][i].bytes(), results[2][i].bytes(), bytes) == 0);
      // Gradients are sums of some 10^4 products of numbers below 1 in float.
      CHECK(largest_difference(results[0][i], steps[i]) < 2e-4);
    }
  }
}

TEST_CASE("empty batches and sequences") {
  for (const Cell cell : {Cell::gru, Cell::lstm}) {
    for (const Sizes sizes : {Sizes{0, 2, 3}, Sizes{2, 0, 3}}) {
      const std::vector<Tensor> results = by_sequence(Inputs(cell, sizes, {}));
      CHECK(results[0].size() == 0);
      for (const double g : results[2].to_vector<double>()) CHECK(g == 0);
    }
  }
}

TEST_CASE("errors of recurrent operators name the shapes") {
  Tape tape;
  const Var gates = as_var(zeros({4, 2, 9})), h = as_var(zeros({2, 3}));
  const Var weight = as_var(zeros({9, 3})), bias = as_var(zeros({9}));
  using Catch::Matchers::Contains;
  CHECK_THROWS_WITH(gru_sequence(gates, as_var(zeros({3, 3})), weight, bias),
                    Contains("gru_sequence: expected gates [T, B, 3H]") &&
                        Contains("[4, 2, 9] and [3, 3]") && Contains("recurrent_test.cpp"));
  CHECK_THROWS_WITH(gru_sequence(gates, h, as_var(zeros({3, 9})), bias), Contains("[3, 9]"));
  CHECK_THROWS_WITH(gru_sequence(gates, h, weight, bias, {.lengths = as_var(zeros({2}))}),
                    Contains("lengths int32 [2], got float32 [2]"));
  CHECK_THROWS_WITH(lstm_sequence(gates, {h, h}, weight, bias), Contains("[T, B, 4H]"));
  CHECK_THROWS_WITH(gru_gates(as_var(zeros({2, 8})), h, weight, bias),
                    Contains("gru_gates: expected gates [B, 3H]") && Contains("[2, 8]"));
  CHECK_THROWS_WITH(gru_gates(as_var(zeros({2, 9}, DType::float64)), h, weight, bias),
                    Contains("float type"));
}

}  // namespace
}  // namespace rapt
