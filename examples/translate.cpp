// Trains a GRU encoder-decoder with attention on parallel text, translates with it, and scores
// translations. Text is one sentence a line, tokens between blanks, plain or gzip.
//
//   translate train --source train.en --target train.ja --dev-source dev.en --dev-target dev.ja
//       --model DIR
//   translate decode --model DIR < test.en > test.out
//   translate score --reference test.ja < test.out
//
// Expected output of `score`, of a file against itself:
//
//   BLEU = 100.00 (100.0/100.0/100.0/100.0, BP = 1.000, ratio = 1.000, hypothesis 5, reference 5)
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>

#include "common/bleu.hpp"
#include "common/translation.hpp"
#include "common/utf8.hpp"
#include "translate/options.hpp"

namespace {

using namespace rapt;
using namespace rapt::examples;

/// The lines of standard input. One that is no UTF-8 is named and keeps its place, as an empty
/// line.
std::vector<std::string> read_input() {
  std::vector<std::string> lines;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.ends_with('\r')) line.pop_back();
    const bool valid = is_valid_utf8(line);
    lines.push_back(valid ? line : std::string());
    if (valid) continue;
    fmt::print(stderr, "standard input:{}: invalid UTF-8, taken for an empty line\n", lines.size());
  }
  return lines;
}

int decode(const std::string& folder, int64_t batch, int64_t max_length, size_t max_tokens,
           int threads) {
  Executor executor({.threads = threads});
  const Executor::Use use(executor);
  const TranslationModel model = TranslationModel::load(folder);
  const std::vector<std::string> lines = read_input();
  std::vector<std::vector<int32_t>> sources;
  std::vector<bool> used;
  for (const std::string& line : lines) {
    std::vector<int32_t> ids = model.source.encode(line);
    if (ids.size() > max_tokens) {
      fmt::print(stderr,
                 "standard input:{}: {} tokens, over the limit of {}, taken for an empty line\n",
                 used.size() + 1, ids.size(), max_tokens);
      ids.clear();
    }
    used.push_back(!ids.empty());
    if (used.back()) sources.push_back(std::move(ids));
  }
  const std::vector<Decoded> decoded =
      decode_all(model.net, sources, batch,
                 {.begin = Vocabulary::begin, .end = Vocabulary::end, .max_length = max_length});
  size_t next = 0;
  for (const bool has_tokens : used) {
    fmt::print("{}\n", has_tokens ? model.target.decode(decoded[next++].tokens) : "");
  }
  if (sources.size() < lines.size()) {
    fmt::print(stderr, "{} of {} lines were empty\n", lines.size() - sources.size(), lines.size());
  }
  return 0;
}

int score(const std::string& reference) {
  std::vector<Sentence> references, hypotheses;
  for (const Line& line : read_lines(reference)) references.push_back(split_blanks(line.text));
  for (const std::string& line : read_input()) hypotheses.push_back(split_blanks(line));
  if (hypotheses.size() != references.size()) {
    throw Error(fmt::format("standard input has {} lines, {} has {}", hypotheses.size(), reference,
                            references.size()));
  }
  fmt::print("{}\n", corpus_bleu(hypotheses, references).line());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Learns to translate from parallel text, translates, and scores translations.");
  app.require_subcommand(1);
  TrainOptions o;
  CLI::App* train_command = app.add_subcommand("train", "learn from sentence pairs");
  train_command->add_option("--source", o.source, "source sentences, one a line")->required();
  train_command->add_option("--target", o.target, "their translations")->required();
  train_command->add_option("--dev-source", o.dev_source, "held-out sentences")->required();
  train_command->add_option("--dev-target", o.dev_target, "their translations")->required();
  train_command->add_option("--model", o.model, "folder for the model")->required();
  const auto positive = CLI::PositiveNumber;
  const auto add = [&](const char* name, auto& value, const char* help) {
    return train_command->add_option(name, value, help)->capture_default_str();
  };
  const auto share = CLI::Range(0.0, 1.0);
  const auto not_negative = CLI::NonNegativeNumber;
  add("--epochs", o.epochs, "passes over the sentences")->check(positive);
  add("--batch-sentences,--batch", o.batch.sentences, "most sentences a step; 0: no limit")
      ->check(not_negative);
  add("--batch-tokens", o.batch.tokens,
      "most tokens a step, of the longer side, with padding; 0: no limit")
      ->check(not_negative);
  add("--tokens", o.tokens, "words, characters or sentencepiece")
      ->check(CLI::IsMember({"words", "characters", "sentencepiece"}));
  add("--subwords", o.subwords, "how SentencePiece finds pieces: bpe or unigram")
      ->check(CLI::IsMember({"bpe", "unigram"}));
  train_command->add_flag("--joint", o.joint, "one vocabulary for both languages");
  train_command->add_flag("--lower", o.lower, "lower-case both languages");
  add("--vocab", o.vocab, "most tokens of a vocabulary")->check(CLI::Range(5, 1 << 24));
  add("--min-count", o.min_count, "rarer words or characters become <unk>")->check(positive);
  add("--max-tokens", o.max_tokens, "longer sentences are skipped")->check(positive);
  add("--arch", o.arch, "gru or transformer")->check(CLI::IsMember({"gru", "transformer"}));
  add("--embed", o.embed, "gru: width of the embeddings")->check(positive);
  add("--hidden", o.hidden, "gru: width of the states")->check(positive);
  add("--readout", o.readout, "gru: width of the layer before the output; 0: none")
      ->check(not_negative);
  add("--attention", o.attention, "gru: additive, dot or none")
      ->check(CLI::IsMember({"additive", "dot", "none"}));
  add("--layers", o.layers, "transformer: encoder layers")->check(positive);
  add("--decoder-layers", o.decoder_layers, "transformer: decoder layers; 0: as many")
      ->check(not_negative);
  add("--width", o.width, "transformer: width of the layers")->check(positive);
  add("--heads", o.heads, "transformer: heads of attention")->check(positive);
  add("--feed-forward", o.feed_forward, "transformer: inner width")->check(positive);
  train_command->add_flag("--norm-first", o.norm_first,
                          "transformer: normalise what a layer reads, not what it gives");
  add("--tie", o.tie,
      "transformer: output uses the target's embeddings as output layer, with --joint all three"
      " tables are one; none")
      ->check(CLI::IsMember({"output", "none"}));
  add("--dropout", o.dropout, "of embeddings, readout, attention and layers")->check(share);
  add("--label-smoothing", o.label_smoothing, "what the target gives to all tokens evenly")
      ->check(share);
  add("--lr", o.lr, "peak learning rate, reached after warm-up")->check(positive);
  add("--schedule", o.schedule, "after it: cosine (to 0 at the last step), inverse-sqrt, constant")
      ->check(CLI::IsMember({"cosine", "inverse-sqrt", "constant"}));
  add("--warmup", o.warmup, "steps of warm-up")->check(not_negative);
  add("--beta2", o.beta2, "Adam's second decay rate")->check(share);
  add("--weight-decay", o.weight_decay, "decoupled, of matrices")->check(not_negative);
  add("--clip-norm", o.clip_norm, "the most that the gradient's norm may be")->check(positive);
  add("--best-by", o.best_by, "what chooses the epoch that is saved: loss or bleu, of dev")
      ->check(CLI::IsMember({"loss", "bleu"}));
  add("--patience", o.patience, "stop after as many epochs without a better one; 0: never")
      ->check(not_negative);
  add("--keep", o.keep, "keep a checkpoint of each of so many last epochs")->check(not_negative);
  add("--threads", o.threads, "0: all cores")->check(not_negative);
  add("--seed", o.seed, "of weights, order and dropout");

  std::string folder, reference;
  int64_t decode_batch = 64, max_length = 100;
  size_t max_tokens = 200;
  int threads = 0;
  CLI::App* decode_command = app.add_subcommand("decode", "translate standard input");
  decode_command->add_option("--model", folder, "folder of a trained model")->required();
  decode_command->add_option("--batch", decode_batch, "sentences at a time")
      ->check(positive)
      ->capture_default_str();
  decode_command->add_option("--max-length", max_length, "the most tokens of a translation")
      ->check(positive)
      ->capture_default_str();
  decode_command->add_option("--max-tokens", max_tokens, "longer lines are left empty")
      ->check(positive)
      ->capture_default_str();
  decode_command->add_option("--threads", threads, "0: all cores")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  CLI::App* score_command = app.add_subcommand("score", "BLEU of standard input");
  score_command->add_option("--reference", reference, "the right translations")->required();
  CLI11_PARSE(app, argc, argv);

  try {
    if (train_command->parsed()) return train(o);
    if (decode_command->parsed()) {
      return decode(folder, decode_batch, max_length, max_tokens, threads);
    }
    return score(reference);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    fmt::print(stderr, "translate: {}\n", error.what());
    return 1;
  }
}
