// Learns to read dates in six languages and many styles and to write them as ISO 8601: "le 3 mai
// 1998" -> 1998-05-03. The model is a GRU encoder-decoder with attention over characters. The
// program generates its own examples. The days of the test set occur in no training example.
//
// Expected output, in under a minute on two cores (figures differ slightly by instruction set):
//
//   test: 99.8% of 2000 dates on unseen days are exactly right
//   le 3 mai 1998            1998-05-03
//   Sunday, 12 April 2009    2009-04-12
//   9.11.76                  1976-11-09
//   ... and a plot of the characters that each output character attended to, also written to
//   attention.svg
#include "examples/dates/dates.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <rapt/rapt.hpp>

#include "examples/command_line/numbers.hpp"
#include "examples/command_line/program.hpp"
#include "tasks/data/files.hpp"
#include "tasks/draw/progress.hpp"
#include "tasks/draw/svg.hpp"
#include "tasks/text/utf8.hpp"
#include "tasks/translation/translation.hpp"

namespace {

using namespace rapt;
using namespace rapt::examples;
using namespace rapt::tasks;

struct Options {
  int64_t steps = 1100;
  int64_t batch = 64;
  int64_t embed = 32;
  int64_t hidden = 128;
  int64_t test = 2000;
  double lr = 3e-3;
  double seconds = 55;  // training ends after this time at the latest
  uint64_t seed = 7;
  int threads = 0;
  std::string model = "dates-model", svg = "attention.svg";
};

PairSet make_pairs(const Options& o, DateSplit split, int64_t first, int64_t count,
                   const TranslationModel& model) {
  PairSet pairs;
  for (int64_t i = first; i < first + count; ++i) {
    const DatePair date = make_date(o.seed, static_cast<uint64_t>(i), split);
    pairs.source.push_back(model.source.encode(date.text));
    pairs.target.push_back(model.target.encode(date.iso));
  }
  return pairs;
}

/// Makes a model whose vocabularies hold the characters of 20000 examples, enough to see them all.
TranslationModel make_model(const Options& o) {
  std::vector<std::string> text, iso;
  for (uint64_t i = 0; i < 20000; ++i) {
    const DatePair date = make_date(o.seed, i, DateSplit::train);
    text.push_back(date.text);
    iso.push_back(date.iso);
  }
  const TokenizerOptions characters{.kind = TokenKind::characters};
  Tokenizer source = Tokenizer::train(text, characters), target = Tokenizer::train(iso, characters);
  const Seq2SeqOptions options{.source_vocab = source.size(),
                               .target_vocab = target.size(),
                               .embed = o.embed,
                               .hidden = o.hidden,
                               .readout = o.hidden};
  return {options, std::move(source), std::move(target), GruSeq2Seq(options, Key{o.seed})};
}

void train(const Options& o, TranslationModel& model, const Interrupt& interrupt) {
  Adam adam(parameters_of(model.net), {.lr = o.lr, .clip_norm = 1});
  const auto rate = schedules::cosine(o.lr, 100, o.steps);
  Progress progress(o.steps, "train", {.unit = "dates"});
  const auto begin = std::chrono::steady_clock::now();
  double loss_average = 0;
  // Many batches are drawn at once and batched by length, to keep padding small.
  constexpr int64_t drawn = 50;
  int64_t step = 0;
  while (step < o.steps) {
    const PairSet pairs = make_pairs(o, DateSplit::train, step * o.batch, drawn * o.batch, model);
    const auto round = static_cast<uint64_t>(step);
    for (const auto& rows : make_batches(pairs.lengths(), {o.batch}, o.seed, round).sentences) {
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
      if (step >= o.steps || interrupt.requested() || passed.count() > o.seconds) return;
      const PairBatch batch = make_batch(pairs, rows);
      const Tape tape(Training{Key{o.seed}.fold(static_cast<uint64_t>(step))});
      const Var loss = loss_of(model.net, batch);
      adam.lr(rate(step));
      adam.step(loss);
      loss_average += (loss.item() - loss_average) * (step == 0 ? 1 : 0.05);
      progress.count(static_cast<int64_t>(rows.size()));
      progress.update(++step, {{"loss", loss_average}});
    }
  }
}

std::string decode_one(const TranslationModel& model, const std::string& text, Decoded& decoded) {
  decoded = greedy(std::get<GruSeq2Seq>(model.net), pad_rows({{model.source.encode(text)}}),
                   {.max_length = 20, .weights = true})[0];
  return model.target.decode(decoded.tokens);
}

double exact_share(const Options& o, const TranslationModel& model) {
  const PairSet test = make_pairs(o, DateSplit::test, 0, o.test, model);
  const std::vector<Decoded> decoded = decode_all(model.net, test.source, 250, {.max_length = 20});
  int64_t right = 0;
  for (size_t i = 0; i < decoded.size(); ++i) right += decoded[i].tokens == test.target[i] ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(o.test);
}

void show_attention(const Options& o, const TranslationModel& model, const std::string& text) {
  Decoded decoded;
  const std::string iso = decode_one(model, text, decoded);
  const std::vector<std::string> cols = split_characters(text);
  std::vector<std::string> rows = split_characters(iso);
  std::vector<float> weights;
  for (size_t r = 0; r < rows.size(); ++r) {
    weights.insert(weights.end(), decoded.weights[r].begin(), decoded.weights[r].end());
  }
  fmt::print("\nWhere each character of {} looked in \"{}\":\n\n{}\n", iso, text,
             attention_terminal(rows, cols, weights, locale_is_utf8()));
  write_file_atomically(o.svg, attention_svg(rows, cols, weights));
  fmt::print("The same as a picture: {}\n", o.svg);
}

int run(const Options& o) {
  Executor executor({.threads = o.threads});
  const Executor::Use use(executor);
  expect_writable(o.svg);
  std::filesystem::create_directories(o.model);
  expect_writable(o.model + "/model.safetensors");
  TranslationModel model = make_model(o);
  fmt::print("{} styles of dates in six languages; {} learned values\n", date_styles(),
             count(parameters_of(model.net)));
  std::fflush(stdout);  // so that this line comes before the progress, even if output is a file
  const Interrupt interrupt;
  train(o, model, interrupt);
  model.save(o.model);
  if (interrupt.requested()) {
    fmt::print("stopped by {}: what was learned so far is kept\n", interrupt.cause());
  }
  fmt::print("saved to {}\n", o.model);
  fmt::print("test: {:.1f}% of {} dates on unseen days are exactly right\n",
             100 * exact_share(o, model), o.test);
  for (const char* text : {"le 3 mai 1998", "Sunday, 12 April 2009", "9.11.76",
                           "den 21. Dezember 1987", "3 de mayo de 2011", "July 4th, 1976"}) {
    Decoded decoded;
    const std::string iso = decode_one(model, text, decoded);
    fmt::print("{:<24} {}\n", text, iso);
  }
  show_attention(o, model, "Sunday, 12 April 2009");
  return interrupt.requested() ? 128 + interrupt.signal() : 0;
}

}  // namespace

using rapt::examples::between, rapt::examples::not_negative, rapt::examples::positive;

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Learns to write dates of many styles and languages as ISO 8601.");
  const auto add = [&](const char* name, auto& value, const char* help,
                       const CLI::Validator& check = positive) {
    app.add_option(name, value, help)->capture_default_str()->check(check);
  };
  add("--steps", o.steps, "training steps");
  add("--batch", o.batch, "dates a step");
  add("--embed", o.embed, "width of the embeddings");
  add("--hidden", o.hidden, "width of the states");
  add("--test", o.test, "dates in the test set");
  add("--lr", o.lr, "peak learning rate");
  add("--seconds", o.seconds, "the longest that training may take");
  add("--seed", o.seed, "of weights and dates", not_negative);
  add("--threads", o.threads, "0: all cores", between(0, 256));
  app.add_option("--model", o.model, "folder to save the model in")->capture_default_str();
  app.add_option("--svg", o.svg, "file for the picture")->capture_default_str();
  return run_program("dates", app, argc, argv, [&] { return run(o); });
}
