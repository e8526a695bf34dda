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
#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <rapt/framework/error.hpp>
#include <rapt/optim/optimizer.hpp>
#include <rapt/optim/schedule.hpp>
#include <rapt/rapt.hpp>

#include "common/bleu.hpp"
#include "common/progress.hpp"
#include "common/translation.hpp"
#include "common/utf8.hpp"

namespace {

using namespace rapt;
using namespace rapt::examples;

struct TrainOptions {
  std::string source, target, dev_source, dev_target, model;
  int64_t epochs = 10;
  int64_t batch = 64;
  int64_t embed = 256;
  int64_t hidden = 512;
  int64_t readout = 512;
  std::string attention = "additive";
  int32_t vocab = 4000;
  int64_t min_count = 1;
  int max_tokens = 80;
  double dropout = 0.3;
  double label_smoothing = 0.1;
  double lr = 1e-3;
  int64_t warmup = 500;
  double clip_norm = 1;
  int threads = 0;
  uint64_t seed = 1;
};

PairSet encode(const Corpus& corpus, const Vocabulary& source, const Vocabulary& target) {
  PairSet pairs;
  for (size_t i = 0; i < corpus.size(); ++i) {
    pairs.source.push_back(source.encode(corpus.source[i]));
    pairs.target.push_back(target.encode(corpus.target[i]));
  }
  return pairs;
}

Corpus read(const std::string& source, const std::string& target, int max_tokens) {
  SkipReport skipped;
  Corpus corpus = read_parallel(source, target, {max_tokens}, skipped);
  if (skipped.count() > 0) fmt::print(stderr, "{}\n", skipped.message());
  if (corpus.size() == 0) {
    throw Error(fmt::format("{} and {}: no sentence pair is left to use", source, target));
  }
  return corpus;
}

int train(const TrainOptions& o) {
  Executor executor({.threads = o.threads});
  const Executor::Use use(executor);
  const Corpus corpus = read(o.source, o.target, o.max_tokens);
  const Corpus dev_corpus = read(o.dev_source, o.dev_target, o.max_tokens);
  const VocabularyOptions vocabulary{.max_size = o.vocab, .min_count = o.min_count};
  TranslationModel model{{},
                         Vocabulary::build(corpus.source, vocabulary),
                         Vocabulary::build(corpus.target, vocabulary),
                         {}};
  model.options = {.source_vocab = model.source.size(),
                   .target_vocab = model.target.size(),
                   .embed = o.embed,
                   .hidden = o.hidden,
                   .attention = o.attention == "none"  ? AttentionKind::none
                                : o.attention == "dot" ? AttentionKind::dot
                                                       : AttentionKind::additive,
                   .readout = o.readout,
                   .dropout = o.dropout,
                   .pad = Vocabulary::pad};
  model.net = GruSeq2Seq(model.options, Key{o.seed});
  const std::vector<Parameter> learned = parameters(model.net);
  const PairSet pairs = encode(corpus, model.source, model.target);
  const PairSet dev = encode(dev_corpus, model.source, model.target);
  fmt::print(stderr,
             "{} sentence pairs, {} for development; vocabularies {} and {} (unknown {:.2f}% and"
             " {:.2f}%); {:.1f} million parameters\n",
             pairs.size(), dev.size(), model.source.size(), model.target.size(),
             100 * model.source.unknown_share(corpus.source),
             100 * model.target.unknown_share(corpus.target),
             static_cast<double>(count(learned)) / 1e6);

  Adam adam(learned, {.lr = o.lr, .clip_norm = o.clip_norm});
  const Interrupt interrupt;
  const auto per_epoch =
      static_cast<int64_t>(make_batches(pairs.lengths(), o.batch, o.seed, 0).sentences.size());
  const int64_t total = per_epoch * o.epochs;
  const auto rate = schedules::cosine(o.lr, o.warmup, total);
  double best = INFINITY;
  int64_t step = 0;
  const auto begin = std::chrono::steady_clock::now();
  const auto minutes = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 60;
  };
  {
    Progress progress(total, "train", {.unit = "words"});
    for (int64_t epoch = 0; epoch < o.epochs && !interrupt.requested(); ++epoch) {
      const Batches batches =
          make_batches(pairs.lengths(), o.batch, o.seed, static_cast<uint64_t>(epoch));
      double loss_sum = 0;
      int64_t seen = 0;
      for (const auto& rows : batches.sentences) {
        if (interrupt.requested()) break;
        const PairBatch batch = make_batch(pairs, rows);
        const Tape tape(Training{Key{o.seed}.fold(static_cast<uint64_t>(step))});
        const Var loss = loss_of(model.net, batch, o.label_smoothing);
        adam.lr(rate(step));
        adam.step(loss);
        const double value = loss.item();
        if (!std::isfinite(value)) {
          throw Error(fmt::format("the loss became {} in step {}", value, step));
        }
        loss_sum += value;
        ++seen;
        ++step;
        progress.count(batch.target_tokens);
        progress.update(step, {{"loss", loss_sum / static_cast<double>(seen)}});
      }
      if (seen == 0) break;
      const double dev_loss = mean_loss(model.net, dev, o.batch);
      if (!std::isfinite(dev_loss)) {
        throw Error(fmt::format("the dev loss became {} in epoch {}", dev_loss, epoch + 1));
      }
      const bool better = dev_loss < best;
      if (better) {
        best = dev_loss;
        model.save(o.model);
      }
      progress.message(fmt::format(
          "epoch {}: train loss {:.4f}, dev loss {:.4f} (perplexity {:.2f}), {:.1f} minutes{}",
          epoch + 1, loss_sum / static_cast<double>(seen), dev_loss, std::exp(dev_loss), minutes(),
          better ? fmt::format("; saved to {}", o.model) : "; not better, not saved"));
    }
  }
  if (interrupt.requested()) fmt::print(stderr, "stopped by Ctrl-C; ");
  fmt::print(stderr, "best dev loss {:.4f}, after {:.1f} minutes; {} plans for {} steps\n", best,
             minutes(), executor.counters().plans_made, step);
  return 0;
}

/// The lines of standard input. One that is no UTF-8 or has more than `max_tokens` is named and
/// keeps its place, as an empty line.
std::vector<Sentence> read_input(size_t max_tokens) {
  std::vector<Sentence> lines;
  std::string line;
  while (std::getline(std::cin, line)) {
    const bool valid = is_valid_utf8(line);
    lines.push_back(valid ? split_blanks(line) : Sentence());
    if (!valid) {
      fmt::print(stderr, "standard input:{}: invalid UTF-8, taken for an empty line\n",
                 lines.size());
    } else if (lines.back().size() > max_tokens) {
      fmt::print(stderr,
                 "standard input:{}: {} tokens, over the limit of {}, taken for an empty"
                 " line\n",
                 lines.size(), lines.back().size(), max_tokens);
      lines.back().clear();
    }
  }
  return lines;
}

int decode(const std::string& folder, int64_t batch, int64_t max_length, size_t max_tokens,
           int threads) {
  Executor executor({.threads = threads});
  const Executor::Use use(executor);
  const TranslationModel model = TranslationModel::load(folder);
  const std::vector<Sentence> lines = read_input(max_tokens);
  std::vector<std::vector<int32_t>> sources;
  for (const Sentence& line : lines) {
    if (!line.empty()) sources.push_back(model.source.encode(line));
  }
  const std::vector<Decoded> decoded =
      decode_all(model.net, sources, batch,
                 {.begin = Vocabulary::begin, .end = Vocabulary::end, .max_length = max_length});
  size_t next = 0;
  for (const Sentence& line : lines) {
    if (!line.empty()) {
      fmt::print("{}\n", fmt::join(model.target.decode(decoded[next++].tokens), " "));
    } else {
      fmt::print("\n");
    }
  }
  if (sources.size() < lines.size()) {
    fmt::print(stderr, "{} of {} lines were empty\n", lines.size() - sources.size(), lines.size());
  }
  return 0;
}

int score(const std::string& reference) {
  std::vector<Sentence> references, hypotheses;
  for (const Line& line : read_lines(reference)) references.push_back(split_blanks(line.text));
  hypotheses = read_input(std::numeric_limits<size_t>::max());
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
  add("--epochs", o.epochs, "passes over the sentences")->check(positive);
  add("--batch", o.batch, "sentences a step")->check(positive);
  add("--embed", o.embed, "width of the embeddings")->check(positive);
  add("--hidden", o.hidden, "width of the states")->check(positive);
  add("--readout", o.readout, "width of the layer before the output; 0: none")
      ->check(CLI::NonNegativeNumber);
  add("--attention", o.attention, "additive, dot or none")
      ->check(CLI::IsMember({"additive", "dot", "none"}));
  add("--vocab", o.vocab, "most tokens of a vocabulary")->check(CLI::Range(5, 1 << 24));
  add("--min-count", o.min_count, "rarer tokens become <unk>")->check(positive);
  add("--max-tokens", o.max_tokens, "longer sentences are skipped")->check(positive);
  add("--dropout", o.dropout, "of embeddings and readout")->check(CLI::Range(0.0, 1.0));
  add("--label-smoothing", o.label_smoothing, "what the target gives to all tokens evenly")
      ->check(CLI::Range(0.0, 1.0));
  add("--lr", o.lr, "peak learning rate, reached after warm-up, then a cosine to 0")
      ->check(positive);
  add("--warmup", o.warmup, "steps of warm-up")->check(CLI::NonNegativeNumber);
  add("--clip-norm", o.clip_norm, "the most that the gradient's norm may be")->check(positive);
  add("--threads", o.threads, "0: all cores")->check(CLI::NonNegativeNumber);
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
