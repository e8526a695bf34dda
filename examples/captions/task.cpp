#include <fmt/format.h>

#include <algorithm>

#include "examples/captions/batches.hpp"
#include "examples/captions/samples.hpp"
#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/loss.hpp"
#include "ops/shape/shape.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/training/nonfinite.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

CaptionNetOptions net_options(const CaptionOptions& o, std::int64_t vocab) {
  if (o.channels.size() != o.blocks.size()) {
    throw Error(
        fmt::format("--channels says {} stages, --blocks {}", o.channels.size(), o.blocks.size()));
  }
  const PictureSize size = picture_size(o.size);
  GruCaptionerOptions gru = o.gru;
  ImageEncoderOptions& image = gru.image;
  image.height = size.height;
  image.width = size.width;
  image.stages.clear();
  for (std::size_t i = 0; i < o.channels.size(); ++i) {
    image.stages.push_back({o.channels[i], o.blocks[i]});
  }
  image.dropout = o.grid_dropout;
  image.words = o.words_loss > 0 ? vocab : 0;
  gru.vocab = vocab;
  gru.dropout = o.dropout;
  if (o.arch == "gru") return gru;
  TransformerDecoderOptions decoder = o.decoder;
  decoder.vocab = vocab;
  decoder.dropout = o.dropout;
  decoder.tied = true;
  decoder.max_length = std::max<std::int64_t>(o.max_words + 1, 512);
  return TransformerCaptionerOptions{.image = image, .decoder = decoder};
}

/// Options of the loss. The weights of its second and third terms may be 0.
struct LossParts {
  double label_smoothing = 0, words = 0, guide = 0;
};

/// Returns the loss of predicting from a picture which words its captions have. It is the sum of
/// binary cross-entropies over the words where `tells` is 1, divided by the number of caption
/// words.
Var words_loss(const Var& logits, const Tensor& has, const Tensor& tells) {
  return sum((softplus(logits) - logits * has) * tells) / sum(has * as_var(tells));
}

/// Returns the mean over words of -log(attention inside the word's boxes).
Var guide_loss(const Var& looks, const Tensor& focus) {
  return -mean(log(sum(looks * reshape(focus, looks.shape()), {-1}) + 1e-6));
}

Var loss_on(const CaptionNet& net, const Batch& batch, const LossParts& parts) {
  return std::visit(
      [&](const auto& model) {
        std::optional<AttentionProbe> probe;
        if (parts.guide > 0) probe.emplace();
        const auto encoded = model.encode(batch["images"]);
        const Var logits = model.decode(encoded, batch["target_in"]);  // [BK, T, V]
        Var loss =
            cross_entropy(logits, batch["target_out"],
                          {.ignore = Vocabulary::pad, .label_smoothing = parts.label_smoothing});
        if (parts.words > 0) {
          const Var seen = model.encoder.words_of(encoded.memory);  // [B, V]
          loss = loss + parts.words * words_loss(seen, batch["words"], batch["tells"]);
        }
        if (parts.guide > 0) {
          loss = loss + parts.guide * guide_loss(looks_of(*probe), batch["focus"]);
        }
        return loss;
      },
      net);
}

/// Returns the model with dropout, of the decoder and of the grid. It has the same parameters.
CaptionModel with_dropout(CaptionModel model, double dropout, double grid_dropout) {
  const NamedTensors weights = named(parameters_of(model.net));
  if (auto* gru = std::get_if<GruCaptionerOptions>(&model.options)) {
    gru->dropout = dropout;
  } else {
    std::get<TransformerCaptionerOptions>(model.options).decoder.dropout = dropout;
  }
  std::visit([&](auto& o) { o.image.dropout = grid_dropout; }, model.options);
  model.net = make_caption_net(model.options, Key{});
  set_parameters(parameters_of(model.net), weights);
  return model;
}

class CaptionTask : public Task {
 public:
  explicit CaptionTask(const CaptionOptions& options);

  std::vector<Parameter> parameters() override { return parameters_of(model_->net); }
  std::string digest() const override { return digest_; }
  Epoch epoch(std::int64_t number) override { return batches_->epoch(number); }
  Var loss(const Batch& batch) override {
    return loss_on(model_->net, batch,
                   {options_.label_smoothing, options_.words_loss, options_.guide});
  }
  DevScores measure() override;
  void save(const std::string& folder, const std::string& file) override {
    model_->save(folder, file);
  }
  std::string summary() const override { return summary_of(*model_); }
  std::vector<ReportView> views() override {
    return sample_views(*model_, dev_.list, dev_.pictures);
  }
  std::map<std::string, std::string> settings() const override {
    return {{"label_smoothing", fmt::format("{}", options_.label_smoothing)},
            {"words_loss", fmt::format("{}", options_.words_loss)},
            {"guide", fmt::format("{}", options_.guide)},
            {"dropout", fmt::format("{}", options_.dropout)},
            {"grid_dropout", fmt::format("{}", options_.grid_dropout)}};
  }

 private:
  CaptionOptions options_;
  std::optional<CaptionModel> model_;
  CaptionSet train_, dev_;
  std::optional<CaptionBatches> batches_;
  std::vector<std::vector<Sentence>> dev_references_;
  std::string digest_;
};

CaptionTask::CaptionTask(const CaptionOptions& options) : options_(options) {
  const CaptionOptions& o = options_;
  const std::string& from = o.training.init_from;
  if (!from.empty()) {
    model_ = with_dropout(CaptionModel::load(from), o.dropout, o.grid_dropout);
    const PictureSize size = size_of(*model_);
    options_.size = fmt::format("{}x{}", size.height, size.width);
    options_.how = model_->how;
  }
  SkipReport skipped, dev_skipped;
  read(train_, o.train, o.images, o, skipped);
  read(dev_, o.dev, o.dev_images.empty() ? o.images : o.dev_images, o, dev_skipped);
  std::vector<Sentence> sentences;
  for (const ListedImage& image : train_.list) {
    for (const ListedCaption& c : image.captions) sentences.push_back(caption_words(c.text, o.how));
  }
  if (!model_) {
    Vocabulary words =
        Vocabulary::build(sentences, {.max_size = o.vocab, .min_count = o.min_count});
    const CaptionNetOptions net = net_options(o, words.size());
    model_ =
        CaptionModel{net, o.how, std::move(words), make_caption_net(net, Key{o.training.seed})};
  }
  number(train_, *model_, o.max_words, o.train, skipped);
  number(dev_, *model_, o.max_words, o.dev, dev_skipped);
  for (const ListedImage& image : dev_.list) {
    auto& references = dev_references_.emplace_back();
    for (const ListedCaption& c : image.captions)
      references.push_back(caption_words(c.text, o.how));
  }
  batches_.emplace(o, train_, *model_);
  digest_ = digest_of(train_) + "-" + digest_of(dev_);
  if (o.training.quiet) return;
  print_message(
      fmt::format("{} pictures with {} captions, {} for development; {} words (unknown {:.2f}%);"
                  " {}",
                  train_.list.size(), sentences.size(), dev_.list.size(), model_->words.size(),
                  100 * model_->words.unknown_share(sentences), summary_of(*model_)));
}

DevScores CaptionTask::measure() {
  double total = 0;
  std::int64_t tokens = 0;
  const auto batch = static_cast<std::size_t>(options_.batch);
  const std::span<const Image> images = dev_.pictures.images;
  const std::span<const std::vector<CaptionIds>> captions = dev_.captions;
  for (std::size_t first = 0; first < images.size(); first += batch) {
    const std::size_t count = std::min(batch, images.size() - first);
    const CaptionRows target = caption_rows(captions.subspan(first, count));
    if (target.tokens == 0) continue;
    const Batch own{.tensors = {{"images", images_tensor(images.subspan(first, count))},
                                {"target_in", target.in},
                                {"target_out", target.out}},
                    .units = target.tokens};
    const Tape tape;
    total += loss_on(model_->net, own, {}).item() * static_cast<double>(target.tokens);
    tokens += target.tokens;
  }
  std::vector<Sentence> written;
  for (const CaptionIds& ids : search_captions({{model_->net, images}}, options_.batch,
                                               caption_search(1, 1, options_.max_words))) {
    written.push_back(model_->words.decode(ids));
  }
  const CaptionScores scores = score_captions(written, dev_references_);
  return {
      .loss = total / static_cast<double>(tokens),
      .scores = {{"BLEU-4", scores.bleu[3]}, {"CIDEr-D", scores.cider_d}, {"exact", scores.exact}}};
}

}  // namespace

int train(const CaptionOptions& options) {
  TrainingOptions training = options.training;
  training.program = "captions";
  training.unit = "words";
  return run_training(training, [&] { return std::make_unique<CaptionTask>(options); });
}

int replay(const ReplayOptions& options) {
  return replay(options,
                [](const std::string& folder, const std::string& file,
                   const std::map<std::string, std::string>& settings) -> Replayed {
                  CaptionNet net =
                      with_dropout(CaptionModel::load(folder, file), number_of(settings, "dropout"),
                                   number_of(settings, "grid_dropout"))
                          .net;
                  const LossParts parts{number_of(settings, "label_smoothing"),
                                        number_of(settings, "words_loss"),
                                        number_of(settings, "guide")};
                  return {parameters_of(net),
                          [net, parts](const Batch& batch) { return loss_on(net, batch, parts); }};
                });
}

}  // namespace rapt::examples
