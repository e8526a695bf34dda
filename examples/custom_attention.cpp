// A user-defined attention model: a plain struct with members, a call operator and a list of names.
// It learns to find the one marked number of a row and to repeat it at every position.
//
// Expected output (figures differ a little by instruction set):
//
//   step    0  loss 2.3  right 10%
//   ...
//   step  300  loss 0.0  right 100%
//   query/weight [32, 32]  ... the names follow from visit()
//   gradient checked against finite differences, to the second order
//   so was a score function, in the fused kernel, with the slopes that it learns
//   what an error looks like:
//     linear: expected x [.., in] and weight [out, in], got [2, 5, 7] and [32, 32]; at
//     attention/key, custom_attention.cpp:144
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <rapt/rapt.hpp>

#include "examples/command_line/numbers.hpp"
#include "examples/command_line/program.hpp"

using namespace rapt;

/// Dot-product attention with a gate on its result: sigmoid(g(x)) softmax(q k') v.
struct GatedAttention {
  Linear query, key, value, gate;

  GatedAttention() = default;
  GatedAttention(int64_t width, Key k)
      : query(width, width, k.fold(0)),
        key(width, width, k.fold(1)),
        value(width, width, k.fold(2)),
        gate(width, width, k.fold(3)) {}

  Var operator()(const Arg& x, const Mask& mask = {}) const {  // x: [B, T, C]
    const Scope scope(*this, x.where);
    const Var scale = as_var(1 / std::sqrt(static_cast<double>(query.out())));
    Var scores = matmul(query(x), transpose(key(x))) * scale;  // [B, T, T]
    if (!mask.limits_nothing()) {
      const Var keep =
          as_boolean(mask, scores.graph(), scores.size(0), scores.size(1), scores.size(2));
      scores = masked(scores, squeeze(keep, 1));
    }
    const Var weights = softmax(scores);                  // [B, T, T]
    return sigmoid(gate(x)) * matmul(weights, value(x));  // [B, T, C]
  }
  void visit(auto&& f) {
    f("query", query);
    f("key", key);
    f("value", value);
    f("gate", gate);
  }
};

struct Finder {
  Embedding number, mark;
  GatedAttention attention;
  Linear output;

  Finder(int64_t width, Key k)
      : number(10, width, k.fold(0)),
        mark(2, width, k.fold(1)),
        attention(width, k.fold(2)),
        output(width, 10, k.fold(3)) {}

  Var operator()(const Arg& numbers, const Arg& marks) const {  // [B, T] each -> [B, T, 10]
    return output(attention(number(numbers) + mark(marks)));
  }
  void visit(auto&& f) {
    f("number", number);
    f("mark", mark);
    f("attention", attention);
    f("output", output);
  }
};

struct Batch {
  Tensor numbers, marks, answers;  // int32 [B, T]
};

Batch make_batch(Key key, int64_t rows, int64_t length) {
  const Shape shape{rows, length};
  Batch batch{zeros(shape, DType::int32), zeros(shape, DType::int32), zeros(shape, DType::int32)};
  for (int64_t r = 0; r < rows; ++r) {
    const auto row = static_cast<uint64_t>(r);
    const int64_t marked = key.fold(1).below(length, row);
    const auto at = [&](const Tensor& t, int64_t i) -> int32_t& {
      return t.data<int32_t>()[static_cast<size_t>(r * length + i)];
    };
    for (int64_t i = 0; i < length; ++i) {
      at(batch.numbers, i) =
          static_cast<int32_t>(key.below(10, static_cast<uint64_t>(r * length + i)));
    }
    at(batch.marks, marked) = 1;
    for (int64_t i = 0; i < length; ++i) at(batch.answers, i) = at(batch.numbers, marked);
  }
  return batch;
}

int run(int steps) {
  Finder model(32, Key{1});
  AdamW adamw(parameters(model), {.lr = 3e-3});
  for (int step = 0; step < steps; ++step) {
    const Batch batch = make_batch(Key{2}.fold(static_cast<uint64_t>(step)), 64, 12);
    Tape tape;
    const Var logits = model(batch.numbers, batch.marks);
    const Var loss = cross_entropy(logits, batch.answers);
    const Var right = mean(cast(eq(argmax(logits, -1), batch.answers), DType::float32));
    adamw.step(loss, {right});
    if (step % 50 == 0) {
      fmt::print("step {:4}  loss {:.3f}  right {:.0f}%\n", step, loss.item(), 100 * right.item());
    }
  }
  for (const Parameter& p : parameters(model.attention)) {
    fmt::print("{:<13} {}\n", p.name(), to_string(p.shape()));
  }

  // The same computation in double precision: checks its gradient against finite differences.
  const auto gated = [](std::span<const Var> v) {
    return sigmoid(matmul(v[0], v[3])) *
           matmul(softmax(matmul(matmul(v[0], v[1]), transpose(matmul(v[0], v[2])))), v[0]);
  };
  check_gradient(gated, shapes("B T C, C C, C C, C C", Key{3}));
  fmt::print("gradient checked against finite differences, to the second order\n");

  // A user-defined score inside the fused kernel: capped, with one learned slope per head.
  const auto sloped = [](std::span<const Var> v) {
    const auto score = [&](const Score& s) {
      return tanh(s.value / 30) * 30 + v[3][s.head] * (s.key - s.query);
    };
    return attention(v[0], v[1], v[2], {.mask = causal(), .score = score});
  };
  check_gradient(sloped, shapes("B H T D, B H T D, B H T D, H", Key{4}));
  fmt::print("so was a score function, in the fused kernel, with the slopes that it learns\n");

  fmt::print("what an error looks like:\n");
  (void)parameters(model);  // gives parameters the names they have in the whole model
  try {
    Tape tape;
    model.attention(zeros({2, 5, 7}));
  } catch (const Error& error) {
    fmt::print("  {}\n", error.what());
  }
  return 0;
}

int main(int argc, char** argv) {
  int steps = 301;
  CLI::App app("Trains an attention model that is defined in this file.");
  app.add_option("--steps", steps, "training steps")->check(examples::positive);
  return examples::run_program("custom_attention", app, argc, argv, [&] { return run(steps); });
}
