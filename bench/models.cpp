// Whole training steps: recording, loss, gradients, clipping and update.
#include <fmt/format.h>

#include <cmath>

#include "bench/bench.hpp"
#include "framework/graph/tape.hpp"
#include "models/seq2seq.hpp"
#include "models/transformer.hpp"
#include "ops/rows/loss.hpp"
#include "optim/optimizer.hpp"

namespace bench {
namespace {

using namespace rapt;

const Key key{1};

/// Measures steps of `optimizer` on the loss that `loss_of` records. The same batch is learned
/// repeatedly. The first and the last loss show if learning works.
void train(const Settings& s, Optimizer& optimizer, int64_t parameter_count, const char* figure,
           int64_t tokens, const std::function<Var()>& loss_of) {
  double first = 0, last = 0;
  const Timing timing = repeat(
      [&] {
        Tape tape(Training{key.fold(static_cast<uint64_t>(optimizer.steps()))});
        const Var loss = loss_of();
        optimizer.step(loss);
        last = loss.item();
        if (optimizer.steps() == 1) first = last;
      },
      s.seconds());
  report(s, timing,
         {{figure, static_cast<double>(tokens) / timing.median},
          {"parameters", static_cast<double>(parameter_count)},
          {"first_loss", first},
          {"last_loss", last}});
  if (!std::isfinite(last) || last == first) {
    throw std::runtime_error(fmt::format("the loss went from {} to {}", first, last));
  }
}

/// Returns random words of a batch's sentences. Word 0 is padding and does not occur.
Tensor words(uint64_t i, int64_t batch, int64_t length, int64_t vocab) {
  return random_ids(key.fold(i), {batch, length}, 1, vocab);
}

void seq2seq(const Settings& s) {
  const int64_t vocab = s["vocab"], batch = s["batch"], length = s["len"];
  GruSeq2Seq model(
      {.source_vocab = vocab, .target_vocab = vocab, .embed = s["emb"], .hidden = s["hidden"]},
      key);
  const std::vector<Parameter> learned = parameters(model);
  Adam adam(learned, {.lr = 3e-4, .clip_norm = 1});
  const Tensor source = words(1, batch, length, vocab), in = words(2, batch, length, vocab),
               gold = words(3, batch, length, vocab);
  train(s, adam, count(learned), "target_tokens_per_s", batch * length,
        [&] { return cross_entropy(model(source, in), gold); });
}

/// Throws UsageError if the number of heads does not divide the width.
void check_heads(const Settings& s) {
  if (s["d"] % s["heads"] == 0) return;
  throw UsageError(fmt::format("heads={} does not divide d={}", s["heads"], s["d"]));
}

void transformer(const Settings& s) {
  check_heads(s);
  const int64_t vocab = s["vocab"], batch = s["batch"], length = s["len"];
  Transformer model({.source_vocab = vocab,
                     .target_vocab = vocab,
                     .width = s["d"],
                     .heads = s["heads"],
                     .encoder_layers = s["layers"],
                     .decoder_layers = s["layers"],
                     .feed_forward = s["ff"],
                     .dropout = s.number("dropout"),
                     .max_length = length + 1},
                    key);
  const std::vector<Parameter> learned = parameters(model);
  Adam adam(learned, {.lr = 3e-4, .clip_norm = 1});
  const Tensor source = words(1, batch, length, vocab), in = words(2, batch, length, vocab),
               gold = words(3, batch, length, vocab);
  train(s, adam, count(learned), "target_tokens_per_s", batch * length,
        [&] { return cross_entropy(model(source, in), gold, {.label_smoothing = 0.1}); });
}

void gpt(const Settings& s) {
  check_heads(s);
  const int64_t vocab = s["vocab"], batch = s["batch"], length = s["t"];
  Gpt model({.vocab = vocab,
             .width = s["d"],
             .heads = s["heads"],
             .layers = s["layers"],
             .max_length = length},
            key);
  const std::vector<Parameter> learned = parameters(model);
  AdamW adam(learned, {.lr = 1e-3, .weight_decay = 0.01, .clip_norm = 1});
  const Tensor ids = random_ids(key.fold(1), {batch, length}, 0, vocab),
               gold = random_ids(key.fold(2), {batch, length}, 0, vocab);
  train(s, adam, count(learned), "tokens_per_s", batch * length,
        [&] { return cross_entropy(model(ids), gold); });
}

}  // namespace

std::vector<Workload> model_workloads() {
  return {
      {"transformer",
       {{"vocab", 8000, 2},
        {"d", 256},
        {"heads", 8},
        {"layers", 3},
        {"ff", 1024},
        {"batch", 64},
        {"len", 16},
        {"dropout", 0.1, 0, 1, false}},
       transformer},
      {"gpt",
       {{"vocab", 65, 2}, {"d", 128}, {"layers", 4}, {"heads", 4}, {"t", 64}, {"batch", 12}},
       gpt},
      {"seq2seq",
       {{"vocab", 4000, 2}, {"batch", 64}, {"len", 12}, {"emb", 256}, {"hidden", 512}},
       seq2seq},
  };
}

}  // namespace bench
