#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "examples/speech/options.hpp"
#include "examples/speech/samples.hpp"
#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "tasks/data/batches.hpp"
#include "tasks/data/hash.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/scores/error_rate.hpp"
#include "tasks/training/nonfinite.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

/// Returns the usable utterances of a list.
std::vector<Utterance> read(const std::string& list, bool skip_bad, Recordings& recordings) {
  SkipReport skipped;
  SkipReport* report = skip_bad ? &skipped : nullptr;
  std::vector<Utterance> utterances =
      recordings.readable(read_utterances(list, report, {.needs_words = true}), list, report);
  if (skipped.count() > 0) print_message(fmt::format("{}: {}", list, skipped.message()));
  return utterances;
}

std::int64_t samples_of(const Utterance& utterance, Recordings& recordings) {
  std::int64_t count =
      std::accumulate(utterance.gaps.begin(), utterance.gaps.end(), std::int64_t{0});
  for (const std::string& file : utterance.files) count += std::ssize(recordings.samples(file));
  return count;
}

/// Returns a fingerprint of the words, the recordings and the tokenization.
std::string digest_of(std::span<const Utterance> utterances, const Tokenizer& tokens,
                      Recordings& recordings) {
  std::uint64_t digest = static_cast<std::uint64_t>(tokens.size());
  for (const Utterance& utterance : utterances) {
    for (const std::int32_t id : tokens.encode(utterance.words)) {
      digest = hash(digest, static_cast<std::uint64_t>(id));
    }
    for (const std::int64_t gap : utterance.gaps) {
      digest = hash(digest, static_cast<std::uint64_t>(gap));
    }
  }
  for (const Piece& piece : pieces_of(utterances)) {
    for (const std::string& file : piece.files) {
      for (const float x : recordings.samples(file)) {
        digest = hash(digest, std::bit_cast<std::uint32_t>(x));
      }
    }
  }
  return fmt::format("{:016x}", digest);
}

/// Returns the number of vectors that the encoder's layers see for that duration.
std::int64_t frames_for(double seconds, const FilterbankOptions& bank) {
  return static_cast<std::int64_t>(std::ceil(seconds / bank.shift / 4));
}

/// Returns the largest possible number of tokens per utterance, including utterances assembled anew
/// from pieces of `train`.
std::int64_t most_tokens(std::span<const Utterance> train, std::span<const Utterance> dev,
                         const Tokenizer& tokens) {
  std::size_t pieces = 0, longest = 0, most = 0;
  for (const Utterance& utterance : train) {
    const std::vector<Piece> own = pieces_of(utterance);
    pieces = std::max(pieces, own.size());
    for (const Piece& piece : own) longest = std::max(longest, tokens.encode(piece.words).size());
  }
  for (const auto& list : {train, dev}) {
    for (const Utterance& utterance : list) {
      most = std::max(most, tokens.encode(utterance.words).size());
    }
  }
  return static_cast<std::int64_t>(std::max(most, pieces * (longest + 1)));
}

SpeechModel make_model(const SpeechOptions& o, std::span<const Utterance> utterances,
                       std::span<const Utterance> dev, int rate) {
  std::vector<std::string> texts;
  for (const Utterance& utterance : utterances) texts.push_back(utterance.words);
  Tokenizer tokens =
      Tokenizer::train(texts, {.kind = o.tokens == "words"        ? TokenKind::words
                                       : o.tokens == "characters" ? TokenKind::characters
                                                                  : TokenKind::sentencepiece,
                               .lower = o.lower,
                               .size = o.vocab,
                               .min_count = o.min_count});
  FilterbankOptions bank = o.bank;
  bank.rate = rate;
  bank.mels = o.net.features;
  if (bank.high == 0) bank.high = rate / 2.0;
  const double longest = o.max_seconds * (1 + o.augment.speed);
  SpeechTransformerOptions options = o.net;
  options.vocab = tokens.size();
  options.dropout = o.dropout;
  options.max_frames = frames_for(longest, bank);
  options.max_length = most_tokens(utterances, dev, tokens) + 20;
  return {options, bank, std::move(tokens), SpeechTransformer(options, Key{o.training.seed})};
}

/// Returns the model with that dropout. It has the same parameters.
SpeechModel with_dropout(SpeechModel model, double dropout) {
  const NamedTensors weights = named(parameters(model.net));
  model.options.dropout = dropout;
  model.net = SpeechTransformer(model.options, Key{});
  set_parameters(parameters(model.net), weights);
  return model;
}

/// Loads the model to start from. Throws Error if it cannot read or write what the data have.
SpeechModel first_model(const SpeechOptions& o, std::span<const Utterance> train,
                        std::span<const Utterance> dev, int rate) {
  const std::string& from = o.training.init_from;
  SpeechModel model = with_dropout(SpeechModel::load(from), o.dropout);
  const auto expect = [&](const char* what, std::int64_t most, std::int64_t needed) {
    if (needed <= most) return;
    throw Error(fmt::format("the model in {} is for up to {} {}, the data need {}", from, most,
                            what, needed));
  };
  if (model.bank.rate != rate) {
    throw Error(fmt::format("the model in {} is for recordings of {} Hz, these have {}", from,
                            model.bank.rate, rate));
  }
  expect("frames", model.options.max_frames,
         frames_for(o.max_seconds * (1 + o.augment.speed), model.bank));
  expect("tokens", model.options.max_length, most_tokens(train, dev, model.tokens));
  return model;
}

class SpeechTask : public Task {
 public:
  explicit SpeechTask(const SpeechOptions& options);

  std::vector<Parameter> parameters() override { return rapt::parameters(model_->net); }
  std::string digest() const override { return digest_; }
  Epoch epoch(std::int64_t number) override;
  Var loss(const Batch& batch) override {
    return joint_loss(model_->net, batch, options_.ctc_weight, options_.label_smoothing);
  }
  DevScores measure() override;
  void save(const std::string& folder, const std::string& file) override {
    model_->save(folder, file);
  }
  std::string summary() const override {
    return fmt::format(
        "Speech Transformer with CTC, {} + {} layers, width {}, {} heads, feed-forward {}",
        options_.net.encoder_layers, options_.net.decoder_layers, options_.net.width,
        options_.net.heads, options_.net.feed_forward);
  }
  std::vector<ReportView> views() override;
  std::map<std::string, std::string> settings() const override {
    return {{"ctc_weight", fmt::format("{}", options_.ctc_weight)},
            {"label_smoothing", fmt::format("{}", options_.label_smoothing)},
            {"dropout", fmt::format("{}", options_.dropout)}};
  }

 private:
  Batch make_batch(std::int64_t epoch, std::span<const std::int64_t> rows) const;

  SpeechOptions options_;
  Recordings recordings_;
  std::optional<SpeechModel> model_;
  std::optional<Filterbank> bank_;
  std::vector<Utterance> train_, dev_;
  std::optional<Augmenter> augmenter_;
  std::vector<PairLength> lengths_;  // tokens and frames of train_, before augmentation
  std::vector<Features> dev_features_;
  std::vector<std::vector<std::int32_t>> dev_tokens_;
  std::string digest_;
};

SpeechTask::SpeechTask(const SpeechOptions& o)
    : options_(o),
      recordings_(o.audio, o.resample, o.max_seconds,
                  {.resample = o.resample > 0, .mix = o.mix_channels}) {
  train_ = read(o.train, o.skip_bad, recordings_);
  dev_ = read(o.dev, o.skip_bad, recordings_);
  if (o.training.init_from.empty()) {
    model_.emplace(make_model(o, train_, dev_, recordings_.rate()));
  } else {
    model_.emplace(first_model(o, train_, dev_, recordings_.rate()));
    options_.net = model_->options;
  }
  bank_.emplace(model_->bank);
  augmenter_.emplace(o.augment, train_, recordings_, o.max_seconds);
  std::int64_t samples = 0;
  for (const Utterance& utterance : train_) {
    const std::int64_t own = samples_of(utterance, recordings_);
    const auto tokens = std::ssize(model_->tokens.encode(utterance.words));
    lengths_.push_back(
        {static_cast<std::int32_t>(tokens), static_cast<std::int32_t>(bank_->frames(own))});
    samples += own;
  }
  for (const Utterance& utterance : dev_) {
    Features features = (*bank_)(recordings_.join(utterance.files, utterance.gaps));
    normalise(features);
    dev_features_.push_back(std::move(features));
    dev_tokens_.push_back(model_->tokens.encode(utterance.words));
  }
  digest_ = digest_of(train_, model_->tokens, recordings_) + "-" +
            digest_of(dev_, model_->tokens, recordings_);
  if (o.training.quiet) return;
  print_message(fmt::format("{} utterances, {:.2f} hours, {} for development; {} tokens",
                            train_.size(), static_cast<double>(samples) / recordings_.rate() / 3600,
                            dev_.size(), model_->tokens.size()));
}

Batch SpeechTask::make_batch(std::int64_t epoch, std::span<const std::int64_t> rows) const {
  const Key key = Key{options_.training.seed, 1}.fold(static_cast<std::uint64_t>(epoch));
  std::vector<Features> features;
  std::vector<std::vector<std::int32_t>> tokens;
  for (const std::int64_t row : rows) {
    const Key own = key.fold(static_cast<std::uint64_t>(row));
    const Sound sound = augmenter_->sound(train_[static_cast<std::size_t>(row)], own.fold(0));
    features.push_back(augmenter_->features(*bank_, sound, own.fold(1)));
    tokens.push_back(model_->tokens.encode(sound.words));
  }
  return make_speech_batch(features, tokens);
}

Epoch SpeechTask::epoch(std::int64_t number) {
  Batches batches = make_batches(lengths_, {.sentences = 0, .tokens = options_.batch_frames},
                                 options_.training.seed, static_cast<std::uint64_t>(number));
  return {.batches = std::ssize(batches.sentences),
          .padding = batches.padding,
          .make = [this, number, rows = std::move(batches.sentences)](std::int64_t i) {
            return make_batch(number, rows[static_cast<std::size_t>(i)]);
          }};
}

DevScores SpeechTask::measure() {
  double loss = 0;
  constexpr std::size_t together = 32;
  for (std::size_t i = 0; i < dev_.size(); i += together) {
    const std::size_t n = std::min(together, dev_.size() - i);
    const Tape tape;
    const Batch batch = make_speech_batch(std::span(dev_features_).subspan(i, n),
                                          std::span(dev_tokens_).subspan(i, n));
    loss += static_cast<double>(n) * joint_loss(model_->net, batch, options_.ctc_weight, 0).item();
  }
  ErrorCounts words, characters;
  const std::vector<std::string> texts =
      recognise(*model_, dev_features_, {}, options_.batch_frames);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    words += word_errors(texts[i], dev_[i].words);
    characters += character_errors(texts[i], dev_[i].words);
  }
  return {.loss = loss / static_cast<double>(dev_.size()),
          .scores = {{"WER", 100 * words.rate(), false}, {"CER", 100 * characters.rate(), false}}};
}

std::vector<ReportView> SpeechTask::views() {
  constexpr std::size_t most = 6;
  std::vector<SpectrogramSample> samples;
  const std::size_t count = std::min(most, dev_.size());
  for (std::size_t n = 0; n < count; ++n) {
    const std::size_t i = n * dev_.size() / count;
    samples.push_back(sample_of(*model_, dev_[i].words, dev_features_[i]));
  }
  return {spectrogram_view("Where each word was heard", samples)};
}

}  // namespace

int train(const SpeechOptions& options) {
  TrainingOptions training = options.training;
  training.program = "speech";
  training.unit = options.tokens == "words" ? "words" : "tokens";
  return run_training(training, [&] { return std::make_unique<SpeechTask>(options); });
}

int replay(const ReplayOptions& options) {
  return replay(
      options,
      [](const std::string& folder, const std::string& file,
         const std::map<std::string, std::string>& settings) -> Replayed {
        SpeechTransformer net =
            with_dropout(SpeechModel::load(folder, file), number_of(settings, "dropout")).net;
        return {parameters(net),
                [net, weight = number_of(settings, "ctc_weight"),
                 smoothing = number_of(settings, "label_smoothing")](const Batch& batch) {
                  return joint_loss(net, batch, weight, smoothing);
                }};
      });
}

}  // namespace rapt::examples
