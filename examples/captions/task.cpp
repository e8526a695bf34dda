#include <fmt/format.h>

#include <algorithm>
#include <rapt/framework/error.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/loss.hpp>

#include "../common/batches.hpp"
#include "../common/caption_model.hpp"
#include "../common/hash.hpp"
#include "../common/nonfinite.hpp"
#include "options.hpp"
#include "samples.hpp"

namespace rapt::examples {
namespace {

CaptionNetOptions net_options(const CaptionOptions& o, std::int64_t vocab) {
  if (o.channels.size() != o.blocks.size()) {
    throw Error(
        fmt::format("--channels says {} stages, --blocks {}", o.channels.size(), o.blocks.size()));
  }
  const PictureSize size = picture_size(o.size);
  ImageEncoderOptions image{.height = size.height,
                            .width = size.width,
                            .stages = {},
                            .groups = o.groups,
                            .memory = o.memory,
                            .dropout = o.grid_dropout};
  for (std::size_t i = 0; i < o.channels.size(); ++i) {
    image.stages.push_back({o.channels[i], o.blocks[i]});
  }
  if (o.arch == "gru") {
    return GruCaptionerOptions{.image = image,
                               .vocab = vocab,
                               .embed = o.embed,
                               .hidden = o.hidden,
                               .readout = o.readout,
                               .dropout = o.dropout};
  }
  return TransformerCaptionerOptions{
      .image = image,
      .decoder = {.vocab = vocab,
                  .width = o.width,
                  .heads = o.heads,
                  .layers = o.layers,
                  .feed_forward = o.feed_forward,
                  .dropout = o.dropout,
                  .norm_first = o.norm_first,
                  .tied = true,
                  .max_length = std::max<std::int64_t>(o.max_words + 1, 512)}};
}

/// A list, its pictures, and its captions as numbers.
struct CaptionSet {
  std::vector<ListedImage> list;
  LoadedPictures pictures;
  std::vector<std::vector<CaptionIds>> captions;
};

void read(CaptionSet& set, const std::string& path, const std::string& images,
          const CaptionOptions& o, SkipReport& skipped) {
  const PictureSize size = picture_size(o.size),
                    raw = o.raw_size.empty() ? size : picture_size(o.raw_size);
  set.list = read_caption_list(path, {.skip_bad = o.skip_bad}, skipped);
  set.pictures = load_pictures(Pictures(images, raw.height, raw.width), set.list, path, size,
                               o.skip_bad, skipped);
}

/// Captions that are too long, or empty without punctuation, are skipped and counted.
void number(CaptionSet& set, const CaptionModel& model, std::int64_t max_words,
            const std::string& path, SkipReport& skipped) {
  for (const ListedImage& image : set.list) {
    std::vector<CaptionIds>& captions = set.captions.emplace_back();
    for (const ListedCaption& caption : image.captions) {
      CaptionIds ids = model.encode(caption.text);
      if (ids.empty()) {
        skipped.add("nothing that is a word", path, caption.line);
      } else if (std::cmp_greater(ids.size(), max_words)) {
        skipped.add(fmt::format("more than {} words", max_words), path, caption.line);
      } else {
        captions.push_back(std::move(ids));
      }
    }
  }
  if (skipped.count() > 0) fmt::print(stderr, "{}\n", skipped.message());
}

std::string digest_of(const CaptionSet& set) {
  std::uint64_t digest = 0;
  for (const Image& image : set.pictures.images) {
    for (std::size_t i = 0; i + 8 <= image.pixels.size(); i += 8) {
      std::uint64_t eight = 0;
      std::copy_n(image.pixels.data() + i, 8, reinterpret_cast<std::uint8_t*>(&eight));
      digest = hash(digest, eight);
    }
  }
  for (const auto& captions : set.captions) {
    digest = hash(digest, captions.size());
    for (const CaptionIds& ids : captions) {
      for (const std::int32_t id : ids) digest = hash(digest, static_cast<std::uint64_t>(id));
    }
  }
  return fmt::format("{:016x}", digest);
}

Var loss_on(const CaptionNet& net, const Batch& batch, double label_smoothing) {
  const Var logits = std::visit(
      [&](const auto& m) { return m(batch["images"], batch["target_in"]); }, net);  // [BK, T, V]
  return cross_entropy(logits, batch["target_out"],
                       {.ignore = Vocabulary::pad, .label_smoothing = label_smoothing});
}

class CaptionTask : public Task {
 public:
  explicit CaptionTask(const CaptionOptions& options);

  std::vector<Parameter> parameters() override { return parameters_of(model_->net); }
  std::string digest() const override { return digest_; }
  Epoch epoch(std::int64_t number) override;
  Var loss(const Batch& batch) override {
    return loss_on(model_->net, batch, options_.label_smoothing);
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
            {"dropout", fmt::format("{}", options_.dropout)},
            {"grid_dropout", fmt::format("{}", options_.grid_dropout)}};
  }

 private:
  Batch make_batch(const std::vector<std::int64_t>& rows, std::uint64_t random) const;
  /// The captions of one picture that a step learns, changed as it was.
  std::vector<CaptionIds> chosen(std::size_t picture, bool flipped, std::uint64_t random) const;

  CaptionOptions options_;
  std::optional<CaptionModel> model_;
  CaptionSet train_, dev_;
  std::vector<std::vector<Sentence>> dev_references_;
  std::string digest_;
};

CaptionTask::CaptionTask(const CaptionOptions& o) : options_(o) {
  SkipReport skipped, dev_skipped;
  read(train_, o.train, o.images, o, skipped);
  read(dev_, o.dev, o.dev_images.empty() ? o.images : o.dev_images, o, dev_skipped);
  const CaptionWords how{.lower = o.lower, .strip_punctuation = o.strip_punctuation};
  std::vector<Sentence> sentences;
  for (const ListedImage& image : train_.list) {
    for (const ListedCaption& c : image.captions) sentences.push_back(caption_words(c.text, how));
  }
  Vocabulary words = Vocabulary::build(sentences, {.max_size = o.vocab, .min_count = o.min_count});
  const CaptionNetOptions net = net_options(o, words.size());
  model_ = CaptionModel{net, how, std::move(words), make_caption_net(net, Key{o.training.seed})};
  number(train_, *model_, o.max_words, o.train, skipped);
  number(dev_, *model_, o.max_words, o.dev, dev_skipped);
  for (const ListedImage& image : dev_.list) {
    auto& references = dev_references_.emplace_back();
    for (const ListedCaption& c : image.captions) references.push_back(caption_words(c.text, how));
  }
  digest_ = digest_of(train_);
  fmt::print(stderr,
             "{} pictures with {} captions, {} for development; {} words (unknown {:.2f}%);"
             " {}\n",
             train_.list.size(), sentences.size(), dev_.list.size(), model_->words.size(),
             100 * model_->words.unknown_share(sentences), summary_of(*model_));
}

std::vector<CaptionIds> CaptionTask::chosen(std::size_t picture, bool flipped,
                                            std::uint64_t random) const {
  std::vector<CaptionIds> captions = train_.captions[picture];
  const auto most = static_cast<std::size_t>(options_.captions);
  if (most > 0 && captions.size() > most) {
    shuffle(captions, random);
    captions.resize(most);
  }
  if (!flipped) return captions;
  const std::int32_t left = model_->words.id("left"), right = model_->words.id("right");
  for (CaptionIds& caption : captions) {
    for (std::int32_t& id : caption) {
      if (id == Vocabulary::unknown) continue;
      id = id == left ? right : id == right ? left : id;
    }
  }
  return captions;
}

Batch CaptionTask::make_batch(const std::vector<std::int64_t>& rows, std::uint64_t random) const {
  std::vector<Image> images;
  std::vector<std::vector<CaptionIds>> captions;
  for (const std::int64_t row : rows) {
    const auto picture = static_cast<std::size_t>(row);
    const std::uint64_t own = hash(random, picture);
    Augmented varied = augmented(train_.pictures.images[picture], options_.augmentation, own);
    images.push_back(std::move(varied.image));
    captions.push_back(chosen(picture, varied.flipped, hash(own)));
  }
  CaptionRows target = caption_rows(captions);
  if (options_.word_dropout > 0) {
    std::uint64_t n = 0;
    const auto limit = static_cast<std::uint64_t>(options_.word_dropout * 0x1p32);
    for (std::int32_t& id : target.in.data<std::int32_t>()) {
      const bool drop = hash(random, ~n++) >> 32 < limit;
      if (drop && id != Vocabulary::pad && id != Vocabulary::begin) id = Vocabulary::unknown;
    }
  }
  return {.tensors = {{"images", images_tensor(images)},
                      {"target_in", target.in},
                      {"target_out", target.out}},
          .units = target.tokens};
}

Epoch CaptionTask::epoch(std::int64_t number) {
  const auto epoch = static_cast<std::uint64_t>(number);
  std::vector<PairLength> lengths;
  std::vector<std::int64_t> with_captions;
  for (std::size_t i = 0; i < train_.captions.size(); ++i) {
    std::size_t longest = 0;
    for (const CaptionIds& ids : train_.captions[i]) longest = std::max(longest, ids.size());
    if (longest == 0) continue;
    lengths.push_back({0, static_cast<std::int32_t>(longest + 1)});
    with_captions.push_back(static_cast<std::int64_t>(i));
  }
  Batches batches =
      make_batches(lengths, {.sentences = options_.batch}, options_.training.seed, epoch);
  for (std::vector<std::int64_t>& rows : batches.sentences) {
    for (std::int64_t& row : rows) row = with_captions[static_cast<std::size_t>(row)];
  }
  const std::uint64_t random = hash(options_.training.seed, epoch);
  return {.batches = static_cast<std::int64_t>(batches.sentences.size()),
          .padding = 0,
          .make = [this, random, rows = std::move(batches.sentences)](std::int64_t i) {
            return make_batch(rows[static_cast<std::size_t>(i)], random);
          }};
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
    total += loss_on(model_->net, own, 0).item() * static_cast<double>(target.tokens);
    tokens += target.tokens;
  }
  std::vector<Sentence> written;
  for (const CaptionIds& ids : search_captions({&model_->net, 1}, images, options_.batch,
                                               search_options(1, 1, options_.max_words))) {
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
  return replay(
      options,
      [](const std::string& folder, const std::string& file,
         const std::map<std::string, std::string>& settings) -> Replayed {
        CaptionModel model = CaptionModel::load(folder, file);
        const NamedTensors weights = named(parameters_of(model.net));
        const double dropout = number_of(settings, "dropout");
        if (auto* gru = std::get_if<GruCaptionerOptions>(&model.options)) {
          gru->dropout = dropout;
        } else {
          std::get<TransformerCaptionerOptions>(model.options).decoder.dropout = dropout;
        }
        std::visit([&](auto& o) { o.image.dropout = number_of(settings, "grid_dropout"); },
                   model.options);
        CaptionNet net = make_caption_net(model.options, Key{});
        const std::vector<Parameter> parameters = parameters_of(net);
        set_parameters(parameters, weights);
        return {parameters, [net, smoothing = number_of(settings, "label_smoothing")](
                                const Batch& batch) { return loss_on(net, batch, smoothing); }};
      });
}

}  // namespace rapt::examples
