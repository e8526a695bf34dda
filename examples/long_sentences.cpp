// Shows why attention helps: three models learn to write rows of letters backwards. They are a GRU
// encoder-decoder with a single context vector, the same with attention, and a Transformer. All
// learn from the same examples. Then their accuracy is measured by row length.
//
// Expected output (shortened; figures differ slightly by instruction set): the share of right
// letters by row length. The same figures are plotted in long_sentences.svg.
//
//   length   without   with attention   Transformer
//        4    100.0%           100.0%        100.0%
//       10     97.0%           100.0%         99.8%
//       16     54.4%           100.0%        100.0%
//       20     32.4%           100.0%         99.7%
//
// --test-longest 30 also tests rows longer than any training example. No model has learned such
// positions: accuracy falls with attention too, and for the Transformer at once.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <rapt/rapt.hpp>

#include "examples/command_line/numbers.hpp"
#include "examples/command_line/program.hpp"
#include "tasks/data/files.hpp"
#include "tasks/draw/progress.hpp"
#include "tasks/draw/svg.hpp"
#include "tasks/translation/translation.hpp"

namespace {

using namespace rapt;
using namespace rapt::tasks;

constexpr int32_t letters = 20, first_letter = 4;  // after the special tokens
constexpr int64_t vocabulary = first_letter + letters;

struct Options {
  int64_t steps = 3000;
  int64_t batch = 64;
  int64_t hidden = 64;
  int64_t layers = 2;        // of the Transformer's encoder and of its decoder
  int64_t width = 64;        // of the Transformer
  int64_t longest = 20;      // in training
  int64_t test_longest = 0;  // in the test; 0: as in training
  int64_t test = 200;        // rows per length
  double lr = 4e-3;
  double transformer_lr = 2e-3;
  int threads = 0;
  uint64_t seed = 3;
  std::string svg = "long_sentences.svg";
};

/// Returns rows of random letters, each paired with its reverse.
PairSet make_rows(Key key, int64_t rows, int64_t shortest, int64_t longest) {
  PairSet pairs;
  for (int64_t r = 0; r < rows; ++r) {
    const Key row = key.fold(static_cast<uint64_t>(r));
    const int64_t length = shortest + row.below(longest - shortest + 1, 1000);
    std::vector<int32_t> source;
    for (int64_t i = 0; i < length; ++i) {
      source.push_back(first_letter +
                       static_cast<int32_t>(row.below(letters, static_cast<uint64_t>(i))));
    }
    pairs.target.emplace_back(source.rbegin(), source.rend());
    pairs.source.push_back(std::move(source));
  }
  return pairs;
}

NetOptions gru(const Options& o, AttentionKind attention) {
  return Seq2SeqOptions{.source_vocab = vocabulary,
                        .target_vocab = vocabulary,
                        .embed = 32,
                        .hidden = o.hidden,
                        .attention = attention,
                        .readout = o.hidden};
}

NetOptions transformer(const Options& o) {
  return TransformerOptions{.source_vocab = vocabulary,
                            .target_vocab = vocabulary,
                            .width = o.width,
                            .heads = 4,
                            .encoder_layers = o.layers,
                            .decoder_layers = o.layers,
                            .feed_forward = 2 * o.width,
                            .dropout = 0,
                            .norm_first = true,
                            .max_length = std::max(o.longest, o.test_longest) + 1};
}

Net train(const Options& o, const NetOptions& options, double lr, const char* label,
          const Interrupt& interrupt) {
  Net model = make_net(options, Key{o.seed});
  Adam adam(parameters_of(model), {.lr = lr, .clip_norm = 1});
  const auto rate = schedules::cosine(lr, 100, o.steps);
  Progress progress(o.steps, label, {.unit = "rows"});
  for (int64_t step = 0; step < o.steps && !interrupt.requested(); ++step) {
    // Each batch has rows of one length, so it needs no padding. All models see the same rows.
    const Key key = Key{o.seed}.fold(static_cast<uint64_t>(step));
    const int64_t length = 1 + key.below(o.longest, 7);
    const PairSet pairs = make_rows(key, o.batch, length, length);
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < o.batch; ++i) rows.push_back(i);
    const Tape tape;
    const Var loss = loss_of(model, make_batch(pairs, rows));
    adam.lr(rate(step));
    adam.step(loss);
    progress.count(o.batch);
    progress.update(step + 1, {{"loss", loss.item()}});
  }
  return model;
}

/// Returns the share of letters in the right position.
double accuracy(const Options& o, const Net& model, int64_t length) {
  const PairSet test = make_rows(Key{o.seed + 1}, o.test, length, length);
  const std::vector<Decoded> decoded = decode_all(model, test.source, 100, {.max_length = length});
  int64_t right = 0;
  for (size_t i = 0; i < test.size(); ++i) {
    const std::vector<int32_t>& tokens = decoded[i].tokens;
    for (size_t k = 0; k < test.target[i].size(); ++k) {
      if (k < tokens.size() && tokens[k] == test.target[i][k]) ++right;
    }
  }
  return static_cast<double>(right) / static_cast<double>(o.test * length);
}

int run(const Options& o) {
  Executor executor({.threads = o.threads});
  const Executor::Use use(executor);
  const Interrupt interrupt;
  expect_writable(o.svg);
  const std::vector<Net> models{
      train(o, gru(o, AttentionKind::none), o.lr, "without attention", interrupt),
      train(o, gru(o, AttentionKind::additive), o.lr, "with attention", interrupt),
      train(o, transformer(o), o.transformer_lr, "Transformer", interrupt)};
  std::vector<Series> series{
      {"one context vector", {}, {}}, {"with attention", {}, {}}, {"Transformer", {}, {}}};
  fmt::print(
      "letters that are right, by length (up to {} in training)\n\n"
      "length   without   with attention   Transformer\n",
      o.longest);
  const int64_t longest = o.test_longest > 0 ? o.test_longest : o.longest;
  for (int64_t length = 2; length <= longest; length += 2) {
    for (size_t m = 0; m < models.size(); ++m) {
      series[m].x.push_back(static_cast<double>(length));
      series[m].y.push_back(100 * accuracy(o, models[m], length));
    }
    fmt::print("{:6} {:8.1f}% {:15.1f}% {:12.1f}%\n", length, series[0].y.back(),
               series[1].y.back(), series[2].y.back());
  }
  write_file_atomically(o.svg, line_plot_svg("Writing a row of letters backwards",
                                             "length of the row", "letters right, %", series));
  fmt::print("\nThe same as a plot: {}\n", o.svg);
  return interrupt.requested() ? 128 + interrupt.signal() : 0;
}

}  // namespace

using rapt::examples::between, rapt::examples::not_negative, rapt::examples::positive;

int main(int argc, char** argv) {
  Options o;
  CLI::App app(
      "Accuracy by length of sequence-to-sequence models without, with, and of attention.");
  const auto add = [&](const char* name, auto& value, const char* help,
                       const CLI::Validator& check = positive) {
    app.add_option(name, value, help)->capture_default_str()->check(check);
  };
  add("--steps", o.steps, "training steps of each model");
  add("--batch", o.batch, "rows a step");
  add("--hidden", o.hidden, "width of the states");
  add("--longest", o.longest, "the longest rows in training");
  add("--test-longest", o.test_longest, "the longest rows in the test; 0: as in training",
      not_negative);
  add("--test", o.test, "test rows a length");
  add("--layers", o.layers, "the Transformer's, on each side");
  add("--width", o.width, "the Transformer's, a multiple of 4");
  add("--lr", o.lr, "peak learning rate of the recurrent models");
  add("--transformer-lr", o.transformer_lr, "the same of the Transformer");
  add("--threads", o.threads, "0: all cores", between(0, 256));
  add("--seed", o.seed, "of weights and rows", not_negative);
  app.add_option("--svg", o.svg, "file for the plot")->capture_default_str();
  return rapt::examples::run_program("long_sentences", app, argc, argv, [&] { return run(o); });
}
