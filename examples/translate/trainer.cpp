#include "trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/tape.hpp>

#include "../common/hash.hpp"
#include "../common/prefetch.hpp"
#include "../common/scores.hpp"
#include "nonfinite.hpp"
#include "run_report.hpp"

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

/// A number that changes with the sentences or with how they were cut into tokens.
std::string digest_of(const PairSet& pairs) {
  std::uint64_t digest = 0;
  for (const auto* side : {&pairs.source, &pairs.target}) {
    for (const auto& ids : *side) {
      digest = hash(digest, ids.size());
      for (const std::int32_t id : ids) digest = hash(digest, static_cast<std::uint64_t>(id));
    }
  }
  return fmt::format("{:016x}", digest);
}

std::string unit_of(const TrainOptions& o) { return o.tokens == "words" ? "words" : "tokens"; }

}  // namespace

Trainer::Material Trainer::prepare(const TrainOptions& o) {
  // First, since it may be an error: learning subwords takes a while.
  CheckpointFolder folder(o.model + "/checkpoints");
  auto latest = checkpoint_to_resume(folder, o.model, o.chosen, o.resume);
  SkipReport skipped, dev_skipped;
  Corpus corpus = read(o.source, o.target, skipped);
  Corpus dev = read(o.dev_source, o.dev_target, dev_skipped);
  Material material{make_model(o, corpus), {}, {}, {}, std::move(latest)};
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
      dev_references_(std::move(material.dev_references)),
      checkpoints_(o.model + "/checkpoints", 2),
      digest_(digest_of(pairs_)) {
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
  if (material.latest) {
    resume_from(*material.latest);
  } else {
    std::filesystem::create_directories(o.model);
    log_.emplace(o.model + "/log.jsonl");
  }
}

void Trainer::resume_from(const CheckpointFolder::Latest& latest) {
  const Checkpoint& saved = latest.checkpoint;
  const auto digest = saved.metadata.find("digest");
  if (digest == saved.metadata.end() || digest->second != digest_) {
    throw Error(
        fmt::format("cannot resume {}: the sentences or their tokens have changed since it"
                    " was begun; use --restart to train anew",
                    options_.model));
  }
  for (const std::string& damage : latest.damaged) fmt::print(stderr, "passed over {}\n", damage);
  state_ = state_of(saved.metadata);
  set_parameters(parameters_of(model_.net), saved.tensors);
  adam_->load(saved.tensors);
  log_.emplace(options_.model + "/log.jsonl", log_of(saved.metadata));
  const std::string text = fmt::format("resumed after {} epochs and {} batches, step {}",
                                       state_.epoch, state_.batch, state_.step);
  fmt::print(stderr, "{}\n", text);
  log_->add(Note{state_.step, text});
}

void Trainer::save_checkpoint(bool best) {
  NamedTensors all = named(parameters_of(model_.net));
  for (auto& entry : adam_->state()) all.push_back(std::move(entry));
  std::map<std::string, std::string> metadata = metadata_of(state_, options_.chosen, *log_);
  metadata["digest"] = digest_;
  checkpoints_.save(state_.step, all, metadata, best);
  saved_ = Clock::now();
}

void Trainer::tell(Progress& progress, const std::string& text) {
  progress.message(text);
  log_->add(Note{state_.step, text});
}

void Trainer::skip(const PairBatch& batch, Key key, double loss, Progress& progress) {
  const NonfiniteBatch bad{.batch = batch,
                           .step = state_.step,
                           .key = key,
                           .label_smoothing = options_.label_smoothing,
                           .dropout = options_.dropout,
                           .loss = loss,
                           .gradient_norm = adam_->last_norm()};
  const std::string path = save_nonfinite(bad, model_, options_.model);
  ++state_.skipped;
  const std::string what = fmt::format(
      "step {}: the loss is {}, the norm of the gradient {}; the batch is kept, to be looked at by:"
      " translate replay {} --model {}",
      state_.step, shown(loss), shown(adam_->last_norm()), path, options_.model);
  if (state_.skipped > options_.skip_nonfinite) {
    log_->add(Note{state_.step, what});
    throw Error(fmt::format("{}\nstopped: {} such batches in a row", what, state_.skipped));
  }
  tell(progress, fmt::format("{}; skipped, {} in a row of at most {}", what, state_.skipped,
                             options_.skip_nonfinite));
}

void Trainer::update(const PairBatch& batch, Progress& progress) {
  const auto begin = Clock::now();
  const Key key = Key{options_.seed}.fold(static_cast<std::uint64_t>(state_.step));
  const Tape tape(Training{key});
  const Var loss = loss_of(model_.net, batch, options_.label_smoothing);
  adam_->lr(rate_(state_.step));
  const bool taken = adam_->step(loss);
  if (taken) {
    state_.skipped = 0;
    ++state_.taken;
    state_.loss_sum += loss.item();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    state_.seconds += seconds;
    state_.means.add(loss.item(), batch.target_tokens, adam_->last_norm(), seconds);
  } else {
    skip(batch, key, loss.item(), progress);
  }
  ++state_.batch;
  ++state_.step;
  if (state_.step % options_.log_every == 0 && state_.means.steps > 0) {
    log_->add(state_.means.take(state_.step, adam_->lr(), state_.seconds));
  }
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
    update(*batch, progress);
    if (std::chrono::duration<double>(Clock::now() - saved_).count() >=
        60 * options_.checkpoint_minutes) {
      save_checkpoint();
    }
    tokens_ += batch->target_tokens;
    progress.count(batch->target_tokens);
    progress.update(state_.step, {{"loss", state_.loss_sum / static_cast<double>(state_.taken)}});
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
  Lines hypotheses;
  for (const Decoded& one : decoded) hypotheses.push_back(model_.target.decode(one.tokens));
  // Tokens of the text's own are what counts; plain text has those of 13a.
  const bool plain = model_.target.kind() == TokenKind::sentencepiece;
  score.bleu = score_bleu(hypotheses, {&dev_references_, 1},
                          {.tokens = plain ? ScoreTokens::v13a : ScoreTokens::none,
                           .lower = model_.target.lower()})
                   .score;
  return score;
}

void Trainer::keep_checkpoint(Progress& progress) {
  const auto name = [](std::int64_t epoch) {
    return fmt::format("epoch-{:04}.safetensors", epoch);
  };
  model_.save(options_.model, name(state_.epoch));
  const std::int64_t old = state_.epoch - options_.keep;
  if (old >= 1) std::filesystem::remove(options_.model + "/" + name(old));
  tell(progress, fmt::format("kept {}/{}", options_.model, name(state_.epoch)));
}

bool Trainer::end_epoch(Progress& progress) {
  const DevScore dev = measure();
  const bool by_bleu = options_.best_by == "bleu";
  const double value = by_bleu ? dev.bleu : dev.loss;
  const bool better =
      state_.best_epoch == 0 || (by_bleu ? value > state_.best : value < state_.best);
  const double train_loss = state_.loss_sum / static_cast<double>(state_.taken);
  ++state_.epoch;
  state_.batch = state_.taken = 0;
  state_.loss_sum = 0;
  if (better) {
    state_.best = value;
    state_.best_epoch = state_.epoch;
    model_.save(options_.model);
  }
  if (state_.means.steps > 0) {
    log_->add(state_.means.take(state_.step, adam_->lr(), state_.seconds));
  }
  log_->add(DevLine{.step = state_.step, .loss = dev.loss, .bleu = dev.bleu});
  tell(
      progress,
      fmt::format(
          "epoch {}: train loss {:.4f}, dev loss {:.4f} (perplexity {:.2f}), dev BLEU {:.2f},"
          " learning rate {:.2e}, {:.0f} {}/s, {:.1f}% padding, {:.1f} minutes{}",
          state_.epoch, train_loss, dev.loss, std::exp(dev.loss), dev.bleu, adam_->lr(),
          static_cast<double>(tokens_) / seconds_, unit_of(options_), 100 * padding_,
          state_.seconds / 60,
          better ? fmt::format("; best so far by {}, saved to {}", options_.best_by, options_.model)
                 : fmt::format("; epoch {} was better, not saved", state_.best_epoch)));
  if (options_.keep > 0) keep_checkpoint(progress);
  const std::int64_t waited = state_.epoch - state_.best_epoch;
  const bool patient = options_.patience == 0 || waited < options_.patience;
  if (!patient) {
    tell(progress,
         fmt::format("stopped early: no better {} in {} epochs", options_.best_by, waited));
  }
  state_.finished = !patient || state_.epoch == options_.epochs;
  save_checkpoint(better);
  write_report();
  return !state_.finished;
}

void Trainer::write_report() const {
  if (options_.report.empty()) return;
  write_run_report(options_.report, model_, dev_, *log_,
                   {.model = options_.model,
                    .unit = unit_of(options_),
                    .best_epoch = state_.best_epoch,
                    .epochs = state_.epoch});
}

void Trainer::run() {
  const Interrupt interrupt;
  {
    Progress progress(steps_per_epoch_ * options_.epochs, "train",
                      {.start = state_.step, .unit = unit_of(options_)});
    while (run_epoch(progress, interrupt) && end_epoch(progress)) {
    }
    if (!state_.finished) save_checkpoint();
  }
  if (!state_.finished) {
    fmt::print(stderr,
               "stopped by Ctrl-C after {} epochs and {} batches; the same command goes on\n",
               state_.epoch, state_.batch);
  }
  if (state_.best_epoch == 0) {
    model_.save(options_.model);
    fmt::print(stderr, "the model, not measured yet, is saved to {}\n", options_.model);
    return;
  }
  fmt::print(stderr,
             "best dev {} {:.4f}, of epoch {}, after {:.1f} minutes; {} plans for {} steps\n",
             options_.best_by == "bleu" ? "BLEU" : "loss", state_.best, state_.best_epoch,
             state_.seconds / 60, Executor::current().counters().plans_made, state_.step);
}

int train(const TrainOptions& options) {
  Executor executor({.threads = options.threads});
  const Executor::Use use(executor);
  Trainer(options).run();
  return 0;
}

}  // namespace rapt::examples
