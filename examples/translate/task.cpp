#include <fmt/format.h>

#include <algorithm>

#include "examples/translate/options.hpp"
#include "examples/translate/samples.hpp"
#include "framework/core/error.hpp"
#include "tasks/data/hash.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/scores/scores.hpp"
#include "tasks/training/nonfinite.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

Corpus read(const std::string& source, const std::string& target, SkipReport& skipped) {
  Corpus corpus = read_parallel(source, target, skipped);
  if (corpus.size() > 0) return corpus;
  throw Error(fmt::format("{} and {}: no sentence pair is left to use ({})", source, target,
                          skipped.message()));
}

PairSet numbers(Corpus& corpus, const TranslationModel& model, const TranslateOptions& o,
                const std::string& source, const std::string& target, SkipReport& skipped) {
  PairSet pairs =
      encode_pairs(corpus, model.source, model.target, o.max_tokens, source, target, skipped);
  if (skipped.count() > 0) print_message(skipped.message());
  if (pairs.size() > 0) return pairs;
  throw Error(fmt::format("{} and {}: no sentence pair is left to use", source, target));
}

/// Completes the options of the command line by what the data decide.
NetOptions net_options(const TranslateOptions& o, std::int64_t source, std::int64_t target) {
  if (o.arch == "gru") {
    Seq2SeqOptions net = o.gru;
    net.source_vocab = source;
    net.target_vocab = target;
    net.dropout = o.dropout;
    net.pad = Vocabulary::pad;
    return net;
  }
  TransformerOptions net = o.transformer;
  net.source_vocab = source;
  net.target_vocab = target;
  if (net.decoder_layers == 0) net.decoder_layers = net.encoder_layers;
  net.dropout = o.dropout;
  net.tying = o.tie == "none" ? Tying::none : o.joint ? Tying::all : Tying::output;
  net.max_length = std::max<std::int64_t>(o.max_tokens + 1, 512);
  net.pad = Vocabulary::pad;
  return net;
}

double unknown_share(const std::vector<std::vector<std::int32_t>>& sentences) {
  std::int64_t all = 0, unknown = 0;
  for (const auto& ids : sentences) {
    all += static_cast<std::int64_t>(ids.size());
    unknown += std::count(ids.begin(), ids.end(), Vocabulary::unknown);
  }
  return static_cast<double>(unknown) / static_cast<double>(all);
}

/// Throws Error for options that contradict each other.
void expect_sense(const TranslateOptions& o) {
  const bool pieces = o.tokens == "sentencepiece";
  if (o.segmentations > 1 && !(pieces && o.subwords == "unigram")) {
    throw Error("--segmentations is for --tokens sentencepiece --subwords unigram");
  }
  if (o.normalization != "nmt_nfkc" && !pieces) {
    throw Error("--normalization is for --tokens sentencepiece");
  }
  if (o.joint && !o.target_vocab.empty()) {
    throw Error("--joint has one vocabulary for both languages: give it by --source-vocab");
  }
}

/// Returns the model with that dropout. It has the same parameters.
TranslationModel with_dropout(TranslationModel model, double dropout) {
  const NamedTensors weights = named(parameters_of(model.net));
  std::visit([&](auto& net) { net.dropout = dropout; }, model.options);
  model.net = make_net(model.options, Key{});
  set_parameters(parameters_of(model.net), weights);
  return model;
}

/// Loads the model to start from. Throws Error if it cannot read sentences that long.
TranslationModel first_model(const TranslateOptions& o) {
  TranslationModel model = with_dropout(TranslationModel::load(o.training.init_from), o.dropout);
  const auto* options = std::get_if<TransformerOptions>(&model.options);
  if (options != nullptr && options->max_length < o.max_tokens + 1) {
    throw Error(fmt::format("--max-tokens {}: the model in {} reads up to {} tokens", o.max_tokens,
                            o.training.init_from, options->max_length - 1));
  }
  return model;
}

TranslationModel make_model(const TranslateOptions& o, const Corpus& corpus) {
  if (!o.training.init_from.empty()) return first_model(o);
  const TokenizerOptions tokens{
      .kind = o.tokens == "words"        ? TokenKind::words
              : o.tokens == "characters" ? TokenKind::characters
                                         : TokenKind::sentencepiece,
      .lower = o.lower,
      .size = o.vocab,
      .min_count = o.min_count,
      .subwords = o.subwords == "bpe" ? SubwordKind::bpe : SubwordKind::unigram,
      .normalise = o.normalization == "nmt_nfkc"};
  const auto model_of = [&](Tokenizer source, Tokenizer target) {
    const NetOptions options = net_options(o, source.size(), target.size());
    return TranslationModel{options, std::move(source), std::move(target),
                            make_net(options, Key{o.training.seed})};
  };
  // The tokenizer of a file, or one that is learned from the lines if there is no file.
  const auto tokenizer = [&](const std::string& file, const std::vector<std::string>& lines,
                             std::string_view what) {
    if (!file.empty()) {
      const std::string suffix = Tokenizer::file_name("", tokens.kind);
      if (!file.ends_with(suffix)) {
        throw Error(fmt::format("{}: with --tokens {}, a vocabulary is a file *{}", file, o.tokens,
                                suffix));
      }
      return Tokenizer::load(file.substr(0, file.size() - suffix.size()), tokens.kind,
                             tokens.lower);
    }
    try {
      return Tokenizer::train(lines, tokens);
    } catch (const std::invalid_argument& error) {
      throw Error(fmt::format("{} (--vocab {}): {}", what, o.vocab, error.what()));
    }
  };
  if (!o.joint) {
    Tokenizer source = tokenizer(o.source_vocab, corpus.source, "the source vocabulary");
    return model_of(std::move(source),
                    tokenizer(o.target_vocab, corpus.target, "the target vocabulary"));
  }
  std::vector<std::string> both = corpus.source;
  both.insert(both.end(), corpus.target.begin(), corpus.target.end());
  const Tokenizer joint = tokenizer(o.source_vocab, both, "the joint vocabulary");
  return model_of(joint, joint);
}

/// Returns a fingerprint of sentences and their tokenization, and of the references.
std::string digest_of(const PairSet& pairs, const PairSet& dev,
                      const std::vector<std::string>& references) {
  std::uint64_t digest = 0;
  for (const auto* side : {&pairs.source, &pairs.target, &dev.source, &dev.target}) {
    for (const auto& ids : *side) {
      digest = hash(digest, ids.size());
      for (const std::int32_t id : ids) digest = hash(digest, static_cast<std::uint64_t>(id));
    }
  }
  for (const std::string& line : references) digest = hash(digest, line);
  return fmt::format("{:016x}", digest);
}

/// The segmentations of each sentence of one side.
using Cuts = std::vector<std::vector<Segmentation>>;

Cuts cuts_of(const std::vector<std::string>& lines, const Tokenizer& tokens,
             const TranslateOptions& o) {
  Cuts cuts;
  for (const std::string& line : lines) {
    auto& own =
        cuts.emplace_back(tokens.segmentations(line, o.segmentations, o.segmentation_alpha));
    std::erase_if(own, [&](const Segmentation& one) {
      return std::cmp_greater(one.pieces.size(), o.max_tokens);
    });
  }
  return cuts;
}

/// Draws one of the segmentations by its share.
const std::vector<std::int32_t>& drawn(const std::vector<Segmentation>& cuts,
                                       std::uint64_t random) {
  double rest = static_cast<double>(random >> 11) * 0x1p-53;
  for (const Segmentation& one : cuts) {
    if ((rest -= one.share) < 0) return one.pieces;
  }
  return cuts.front().pieces;
}

Batch as_batch(const PairBatch& pairs) {
  return {.tensors = {{"source", pairs.source},
                      {"target_in", pairs.target_in},
                      {"target_out", pairs.target_out}},
          .units = pairs.target_tokens};
}

Var loss_on(const Net& net, const Batch& batch, const LossOptions& options) {
  return loss_of(net,
                 {.source = batch["source"],
                  .target_in = batch["target_in"],
                  .target_out = batch["target_out"],
                  .target_tokens = batch.units},
                 options);
}

class TranslationTask : public Task {
 public:
  explicit TranslationTask(const TranslateOptions& options);

  std::vector<Parameter> parameters() override { return parameters_of(model_->net); }
  std::string digest() const override { return digest_; }
  Epoch epoch(std::int64_t number) override;
  Var loss(const Batch& batch) override { return loss_on(model_->net, batch, options_.loss); }
  DevScores measure() override;
  void save(const std::string& folder, const std::string& file) override {
    model_->save(folder, file);
  }
  std::string summary() const override { return summary_of(*model_); }
  std::vector<ReportView> views() override { return sample_views(*model_, dev_); }
  std::map<std::string, std::string> settings() const override {
    return {{"label_smoothing", fmt::format("{}", options_.loss.label_smoothing)},
            {"r_drop", fmt::format("{}", options_.loss.r_drop)},
            {"dropout", fmt::format("{}", options_.dropout)}};
  }

 private:
  ScoreTokens dev_tokens() const;

  TranslateOptions options_;
  std::optional<TranslationModel> model_;
  PairSet pairs_, dev_;
  Cuts source_cuts_, target_cuts_;  // of the sentences of pairs_; empty without sampling
  std::vector<std::string> dev_references_;
  std::string digest_;
};

TranslationTask::TranslationTask(const TranslateOptions& o) : options_(o) {
  SkipReport skipped, dev_skipped;
  Corpus corpus = read(o.source, o.target, skipped);
  Corpus dev = read(o.dev_source, o.dev_target, dev_skipped);
  if (o.dev_tokenize != "auto") {  // fails now, not after an epoch, if this build lacks it
    score_tokens("", {.tokens = score_tokens_named(o.dev_tokenize)});
  }
  model_ = make_model(o, corpus);
  pairs_ = numbers(corpus, *model_, o, o.source, o.target, skipped);
  dev_ = numbers(dev, *model_, o, o.dev_source, o.dev_target, dev_skipped);
  dev_references_ = std::move(dev.target);
  digest_ = digest_of(pairs_, dev_, dev_references_);
  if (o.segmentations > 1) {
    source_cuts_ = cuts_of(corpus.source, model_->source, o);
    target_cuts_ = cuts_of(corpus.target, model_->target, o);
    digest_ += fmt::format("-{}-{}", o.segmentations, o.segmentation_alpha);
  }
  if (o.training.quiet) return;
  print_message(fmt::format(
      "{} sentence pairs, {} for development; vocabularies {} and {} (unknown {:.2f}% and"
      " {:.2f}%)",
      pairs_.size(), dev_.size(), model_->source.size(), model_->target.size(),
      100 * unknown_share(pairs_.source), 100 * unknown_share(pairs_.target)));
}

Epoch TranslationTask::epoch(std::int64_t number) {
  const std::uint64_t seed = options_.training.seed, epoch = static_cast<std::uint64_t>(number);
  std::shared_ptr<const PairSet> pairs(std::shared_ptr<void>(), &pairs_);
  if (!source_cuts_.empty()) {
    PairSet cut;
    for (std::size_t i = 0; i < source_cuts_.size(); ++i) {
      const std::uint64_t random = hash(hash(seed, epoch), i);
      cut.source.push_back(drawn(source_cuts_[i], hash(random, 0)));
      cut.target.push_back(drawn(target_cuts_[i], hash(random, 1)));
    }
    pairs = std::make_shared<const PairSet>(std::move(cut));
  }
  // Batches depend on the likeliest segmentation: so each epoch has the same number of batches.
  Batches batches = make_batches(pairs_.lengths(), options_.batch, seed, epoch);
  return {.batches = static_cast<std::int64_t>(batches.sentences.size()),
          .padding = batches.padding,
          .make = [pairs, rows = std::move(batches.sentences)](std::int64_t i) {
            return as_batch(make_batch(*pairs, rows[static_cast<std::size_t>(i)]));
          }};
}

ScoreTokens TranslationTask::dev_tokens() const {
  if (options_.dev_tokenize != "auto") return score_tokens_named(options_.dev_tokenize);
  // BLEU counts the model's own tokens; for plain text it counts those of 13a. Neither finds words
  // in a script without blanks.
  const TokenKind kind = model_->target.kind();
  if (kind != TokenKind::words && lacks_blanks(dev_references_)) return ScoreTokens::characters;
  return kind == TokenKind::sentencepiece ? ScoreTokens::v13a : ScoreTokens::none;
}

DevScores TranslationTask::measure() {
  const double loss = mean_loss(model_->net, dev_, options_.batch);
  std::size_t longest = 0;
  for (const auto& ids : dev_.target) longest = std::max(longest, ids.size());
  const std::vector<Decoded> decoded =
      decode_all(model_->net, dev_.source, 64,
                 {.begin = Vocabulary::begin,
                  .end = Vocabulary::end,
                  .max_length = static_cast<std::int64_t>(longest) + 10});
  Lines hypotheses;
  for (const Decoded& one : decoded) hypotheses.push_back(model_->target.decode(one.tokens));
  const ScoreOptions tokens{.tokens = dev_tokens(), .lower = model_->target.lower()};
  const std::span<const Lines> references{&dev_references_, 1};
  return {.loss = loss,
          .scores = {{"BLEU", score_bleu(hypotheses, references, tokens).score},
                     {"chrF", score_chrf(hypotheses, references, tokens.lower)}}};
}

}  // namespace

int train(const TranslateOptions& options) {
  TrainingOptions training = options.training;
  expect_sense(options);
  training.program = "translate";
  training.unit = options.tokens == "words" ? "words" : "tokens";
  return run_training(training, [&] { return std::make_unique<TranslationTask>(options); });
}

int replay(const ReplayOptions& options) {
  return replay(
      options,
      [](const std::string& folder, const std::string& file,
         const std::map<std::string, std::string>& settings) -> Replayed {
        Net net =
            with_dropout(TranslationModel::load(folder, file), number_of(settings, "dropout")).net;
        return {parameters_of(net),
                [net, options = LossOptions{number_of(settings, "label_smoothing"),
                                            number_of(settings, "r_drop")}](const Batch& batch) {
                  return loss_on(net, batch, options);
                }};
      });
}

}  // namespace rapt::examples
