#include "models/greedy.hpp"

#include <algorithm>

#include "framework/core/options.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/decoding/step_model.hpp"
#include "ops/reduce/reduce.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// The values of an encoded batch, which are recorded again on the tape of each step.
struct EncodedValues {
  Tensor memory, keys, context, state, lengths;

  EncodedValues(const GruSeq2Seq& model, const Tensor& source) {
    const Tape tape;
    const GruSeq2Seq::Encoded encoded = model.encode(source);
    std::vector<Var> wanted{encoded.memory, encoded.context, encoded.state, encoded.lengths};
    if (!encoded.keys.is_empty()) wanted.push_back(encoded.keys);
    Executor::current().run(wanted);
    // The memory is a view with time and batch swapped. Copy it to contiguous memory once, not at
    // every step.
    memory = encoded.memory.value().clone();
    context = encoded.context.value();
    state = encoded.state.value();
    lengths = encoded.lengths.value();
    if (!encoded.keys.is_empty()) keys = encoded.keys.value().clone();
  }

  GruSeq2Seq::Encoded on_tape() const {
    return {as_var(memory), keys ? as_var(keys) : Var(), as_var(context), as_var(state),
            as_var(lengths)};
  }
};

}  // namespace

std::vector<Decoded> greedy(const GruSeq2Seq& model, const Tensor& source,
                            const GreedyOptions& options) {
  check_at_least("greedy", "max_length", options.max_length, 0);
  const int64_t rows = checked_sentences(source), width = source.shape()[1];
  std::vector<Decoded> decoded(static_cast<size_t>(rows));
  if (rows == 0) return decoded;
  const EncodedValues encoded(model, source);
  Tensor state = encoded.state;
  std::vector<int32_t> tokens(static_cast<size_t>(rows), options.begin);
  std::vector<bool> ended(static_cast<size_t>(rows), false);
  int64_t open = rows;
  for (int64_t t = 0; t <= options.max_length && open > 0; ++t) {
    const Tape tape;
    const GruSeq2Seq::Step step =
        model.step(encoded.on_tape(), tensor(tokens, {rows}), as_var(state));
    const Var best = argmax(step.logits, -1);  // [B]
    std::vector<Var> wanted{best, step.state};
    const bool weights = options.weights && !step.weights.is_empty();
    if (weights) wanted.push_back(step.weights);
    Executor::current().run(wanted);
    tokens = best.value().to_vector<int32_t>();
    state = step.state.value();
    const std::vector<float> seen =
        weights ? step.weights.value().to_vector<float>() : std::vector<float>();
    for (int64_t b = 0; b < rows; ++b) {
      const auto row = static_cast<size_t>(b);
      if (ended[row]) continue;
      if (weights) {
        decoded[row].weights.emplace_back(seen.begin() + b * width, seen.begin() + (b + 1) * width);
      }
      if (tokens[row] == options.end || t == options.max_length) {
        ended[row] = true;
        --open;
      } else {
        decoded[row].tokens.push_back(tokens[row]);
      }
    }
  }
  return decoded;
}

}  // namespace v0
}  // namespace rapt
