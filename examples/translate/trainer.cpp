#include "trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/tape.hpp>

#include "../common/bleu.hpp"
#include "../common/prefetch.hpp"

namespace rapt::examples {
namespace {

Corpus read(const std::string& source, const std::string& target, SkipReport& skipped) {
  Corpus corpus = read_parallel(source, target, skipped);
  if (corpus.size() > 0) return corpus;
  throw Error(fmt::format("{} and {}: no sentence pair is left to use ({})", source, target,
                          skipped.message()));
}

PairSet numbers(Corpus& corpus, const TranslationModel& model, const TrainOptions& o,
                const std::string& source, const std::string& target, SkipReport& skipped) {
  PairSet pairs =
      encode_pairs(corpus, model.source, model.target, o.max_tokens, source, target, skipped);
  if (skipped.count() > 0) fmt::print(stderr, "{}\n", skipped.message());
  if (pairs.size() > 0) return pairs;
  throw Error(fmt::format("{} and {}: no sentence pair is left to use", source, target));
}

NetOptions net_options(const TrainOptions& o, std::int64_t source, std::int64_t target) {
  if (o.arch == "gru") {
    return Seq2SeqOptions{.source_vocab = source,
                          .target_vocab = target,
                          .embed = o.embed,
                          .hidden = o.hidden,
                          .attention = o.attention == "none"  ? AttentionKind::none
                                       : o.attention == "dot" ? AttentionKind::dot
                                                              : AttentionKind::additive,
                          .readout = o.readout,
                          .dropout = o.dropout,
                          .pad = Vocabulary::pad};
  }
  return TransformerOptions{.source_vocab = source,
                            .target_vocab = target,
                            .width = o.width,
                            .heads = o.heads,
                            .encoder_layers = o.layers,
                            .decoder_layers = o.decoder_layers > 0 ? o.decoder_layers : o.layers,
                            .feed_forward = o.feed_forward,
                            .dropout = o.dropout,
                            .norm_first = o.norm_first,
                            .tying = o.tie == "none" ? Tying::none
                                     : o.joint       ? Tying::all
                                                     : Tying::output,
                            .max_length = o.max_tokens + 1 > 512 ? o.max_tokens + 1 : 512,
                            .pad = Vocabulary::pad};
}

double unknown_share(const std::vector<std::vector<std::int32_t>>& sentences) {
  std::int64_t all = 0, unknown = 0;
  for (const auto& ids : sentences) {
    all += static_cast<std::int64_t>(ids.size());
    unknown += std::count(ids.begin(), ids.end(), Vocabulary::unknown);
  }
  return static_cast<double>(unknown) / static_cast<double>(all);
}

TranslationModel make_model(const TrainOptions& o, const Corpus& corpus) {
  const TokenizerOptions tokens{
      .kind = o.tokens == "words"        ? TokenKind::words
              : o.tokens == "characters" ? TokenKind::characters
                                         : TokenKind::sentencepiece,
      .lower = o.lower,
      .size = o.vocab,
      .min_count = o.min_count,
      .subwords = o.subwords == "bpe" ? SubwordKind::bpe : SubwordKind::unigram};
  const auto model_of = [&](Tokenizer source, Tokenizer target) {
    const NetOptions options = net_options(o, source.size(), target.size());
    return TranslationModel{options, std::move(source), std::move(target),
                            make_net(options, Key{o.seed})};
  };
  if (!o.joint) {
    return model_of(Tokenizer::train(corpus.source, tokens),
                    Tokenizer::train(corpus.target, tokens));
  }
  std::vector<std::string> both = corpus.source;
  both.insert(both.end(), corpus.target.begin(), corpus.target.end());
  const Tokenizer joint = Tokenizer::train(both, tokens);
  return model_of(joint, joint);
}

}  // namespace

Trainer::Material Trainer::prepare(const TrainOptions& o) {
  SkipReport skipped, dev_skipped;
  Corpus corpus = read(o.source, o.target, skipped);
  Corpus dev = read(o.dev_source, o.dev_target, dev_skipped);
  Material material{make_model(o, corpus), {}, {}, {}};
  material.pairs = numbers(corpus, material.model, o, o.source, o.target, skipped);
  material.dev = numbers(dev, material.model, o, o.dev_source, o.dev_target, dev_skipped);
  material.dev_references = std::move(dev.target);
  return material;
}

Trainer::Trainer(const TrainOptions& o) : Trainer(o, prepare(o)) {}

Trainer::Trainer(const TrainOptions& o, Material material)
    : options_(o),
      model_(std::move(material.model)),
      pairs_(std::move(material.pairs)),
      dev_(std::move(material.dev)),
      dev_references_(std::move(material.dev_references)) {
  const std::vector<Parameter> learned = parameters_of(model_.net);
  adam_.emplace(
      decay_matrices_only(learned),
      AdamOptions{
          .lr = o.lr, .beta2 = o.beta2, .weight_decay = o.weight_decay, .clip_norm = o.clip_norm});
  const Batches batches = make_batches(pairs_.lengths(), o.batch, o.seed, 0);
  steps_per_epoch_ = static_cast<std::int64_t>(batches.sentences.size());
  padding_ = batches.padding;
  rate_ = o.schedule == "cosine" ? schedules::cosine(o.lr, o.warmup, steps_per_epoch_ * o.epochs)
          : o.schedule == "inverse-sqrt" ? schedules::warmup_inverse_sqrt(o.lr, o.warmup)
                                         : schedules::constant(o.lr);
  fmt::print(stderr,
             "{} sentence pairs, {} for development; vocabularies {} and {} (unknown {:.2f}% and"
             " {:.2f}%); {:.1f} million parameters\n",
             pairs_.size(), dev_.size(), model_.source.size(), model_.target.size(),
             100 * unknown_share(pairs_.source), 100 * unknown_share(pairs_.target),
             static_cast<double>(count(learned)) / 1e6);
  fmt::print(stderr, "{} batches an epoch, {:.1f}% of their places are padding\n", steps_per_epoch_,
             100 * padding_);
}

double Trainer::minutes() const {
  return std::chrono::duration<double>(Clock::now() - begun_).count() / 60;
}

double Trainer::update(const PairBatch& batch) {
  const Key key = Key{options_.seed}.fold(static_cast<std::uint64_t>(state_.step));
  const Tape tape(Training{key});
  const Var loss = loss_of(model_.net, batch, options_.label_smoothing);
  adam_->lr(rate_(state_.step));
  adam_->step(loss);
  const double value = loss.item();
  if (!std::isfinite(value)) {
    throw Error(fmt::format("the loss became {} in step {}", value, state_.step));
  }
  return value;
}

bool Trainer::run_epoch(Progress& progress, const Interrupt& interrupt) {
  const Batches batches = make_batches(pairs_.lengths(), options_.batch, options_.seed,
                                       static_cast<std::uint64_t>(state_.epoch));
  auto next = static_cast<std::size_t>(state_.batch);
  Prefetch<PairBatch> ready(4, [&, next]() mutable -> std::optional<PairBatch> {
    if (next == batches.sentences.size()) return std::nullopt;
    return make_batch(pairs_, batches.sentences[next++]);
  });
  padding_ = batches.padding;
  tokens_ = 0;
  const auto begin = Clock::now();
  while (!interrupt.requested()) {
    const std::optional<PairBatch> batch = ready.next();
    if (!batch) break;
    state_.loss_sum += update(*batch);
    ++state_.batch;
    ++state_.step;
    tokens_ += batch->target_tokens;
    progress.count(batch->target_tokens);
    progress.update(state_.step, {{"loss", state_.loss_sum / static_cast<double>(state_.batch)}});
  }
  seconds_ = std::chrono::duration<double>(Clock::now() - begin).count();
  return !interrupt.requested();
}

DevScore Trainer::measure() const {
  DevScore score{.loss = mean_loss(model_.net, dev_, options_.batch)};
  if (!std::isfinite(score.loss)) {
    throw Error(fmt::format("the dev loss became {} in epoch {}", score.loss, state_.epoch + 1));
  }
  std::size_t longest = 0;
  for (const auto& ids : dev_.target) longest = std::max(longest, ids.size());
  const std::vector<Decoded> decoded =
      decode_all(model_.net, dev_.source, 64,
                 {.begin = Vocabulary::begin,
                  .end = Vocabulary::end,
                  .max_length = static_cast<std::int64_t>(longest) + 10});
  std::vector<Sentence> hypotheses, references;
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    hypotheses.push_back(split_blanks(model_.target.decode(decoded[i].tokens)));
    references.push_back(split_blanks(dev_references_[i]));
  }
  score.bleu = corpus_bleu(hypotheses, references).score;
  return score;
}

void Trainer::keep_checkpoint(Progress& progress) {
  const auto name = [](std::int64_t epoch) {
    return fmt::format("epoch-{:04}.safetensors", epoch);
  };
  model_.save(options_.model, name(state_.epoch));
  const std::int64_t old = state_.epoch - options_.keep;
  if (old >= 1) std::filesystem::remove(options_.model + "/" + name(old));
  progress.message(fmt::format("kept {}/{}", options_.model, name(state_.epoch)));
}

bool Trainer::end_epoch(Progress& progress) {
  const DevScore dev = measure();
  const bool by_bleu = options_.best_by == "bleu";
  const double value = by_bleu ? dev.bleu : dev.loss;
  const bool better =
      state_.best_epoch == 0 || (by_bleu ? value > state_.best : value < state_.best);
  const std::int64_t taken = state_.batch;
  ++state_.epoch;
  state_.batch = 0;
  if (better) {
    state_.best = value;
    state_.best_epoch = state_.epoch;
    model_.save(options_.model);
  }
  progress.message(fmt::format(
      "epoch {}: train loss {:.4f}, dev loss {:.4f} (perplexity {:.2f}), dev BLEU {:.2f}, learning"
      " rate {:.2e}, {:.0f} {}/s, {:.1f}% padding, {:.1f} minutes{}",
      state_.epoch, state_.loss_sum / static_cast<double>(taken), dev.loss, std::exp(dev.loss),
      dev.bleu, adam_->lr(), static_cast<double>(tokens_) / seconds_,
      options_.tokens == "words" ? "words" : "tokens", 100 * padding_, minutes(),
      better ? fmt::format("; best so far by {}, saved to {}", options_.best_by, options_.model)
             : fmt::format("; epoch {} was better, not saved", state_.best_epoch)));
  state_.loss_sum = 0;
  if (options_.keep > 0) keep_checkpoint(progress);
  const std::int64_t waited = state_.epoch - state_.best_epoch;
  if (options_.patience > 0 && waited >= options_.patience) {
    progress.message(
        fmt::format("stopped early: no better {} in {} epochs", options_.best_by, waited));
    return false;
  }
  return state_.epoch < options_.epochs;
}

void Trainer::run() {
  const Interrupt interrupt;
  begun_ = Clock::now();
  {
    Progress progress(steps_per_epoch_ * options_.epochs, "train",
                      {.unit = options_.tokens == "words" ? "words" : "tokens"});
    // An epoch that Ctrl-C cuts short is measured too, if anything was learned in it.
    while (run_epoch(progress, interrupt) || state_.batch > 0) {
      if (!end_epoch(progress) || interrupt.requested()) break;
    }
  }
  if (interrupt.requested()) fmt::print(stderr, "stopped by Ctrl-C; ");
  if (state_.best_epoch == 0) {
    fmt::print(stderr, "nothing was learned\n");
    return;
  }
  fmt::print(stderr,
             "best dev {} {:.4f}, of epoch {}, after {:.1f} minutes; {} plans for {} steps\n",
             options_.best_by == "bleu" ? "BLEU" : "loss", state_.best, state_.best_epoch,
             minutes(), Executor::current().counters().plans_made, state_.step);
}

int train(const TrainOptions& options) {
  Executor executor({.threads = options.threads});
  const Executor::Use use(executor);
  Trainer(options).run();
  return 0;
}

}  // namespace rapt::examples
