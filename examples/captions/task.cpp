#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <rapt/framework/error.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/loss.hpp>
#include <rapt/ops/reduce.hpp>
#include <rapt/ops/shape.hpp>

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
                            .dropout = o.grid_dropout,
                            .words = o.words_loss > 0 ? vocab : 0};
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
  std::vector<std::vector<const ListedCaption*>> listed;  // what the numbers stand for
};

void read(CaptionSet& set, const std::string& path, const std::string& images,
          const CaptionOptions& o, SkipReport& skipped) {
  const PictureSize size = picture_size(o.size),
                    raw = o.raw_size.empty() ? size : picture_size(o.raw_size);
  set.list = read_caption_list(path, {.skip_bad = o.skip_bad, .box_size = o.box_size}, skipped);
  set.pictures = load_pictures(Pictures(images, raw.height, raw.width), set.list, path, size,
                               o.skip_bad, skipped);
}

/// Captions that are too long, or empty without punctuation, are skipped and counted.
void number(CaptionSet& set, const CaptionModel& model, std::int64_t max_words,
            const std::string& path, SkipReport& skipped) {
  for (const ListedImage& image : set.list) {
    std::vector<CaptionIds>& captions = set.captions.emplace_back();
    std::vector<const ListedCaption*>& listed = set.listed.emplace_back();
    for (const ListedCaption& caption : image.captions) {
      CaptionIds ids = model.encode(caption.text);
      if (ids.empty()) {
        skipped.add("nothing that is a word", path, caption.line);
      } else if (std::cmp_greater(ids.size(), max_words)) {
        skipped.add(fmt::format("more than {} words", max_words), path, caption.line);
      } else {
        captions.push_back(std::move(ids));
        listed.push_back(&caption);
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

/// What a loss is made of; the weights of the second and third may be 0.
struct LossParts {
  double label_smoothing = 0, words = 0, guide = 0;
};

/// Whether the words that its captions have were seen in a picture: binary cross-entropies, their
/// sum divided by the number of the words.
Var words_loss(const Var& logits, const Tensor& has) {
  return sum(softplus(logits) - logits * has) / sum(has);
}

/// How much of its looks each word has outside of its boxes: the mean of -log(what is inside).
Var guide_loss(const Var& looks, const Tensor& focus) {
  return -mean(log(sum(looks * reshape(focus, looks.shape()), {-1}) + 1e-6));
}

/// Whether a list shows objects side by side: mirrored, their captions would go the wrong way.
bool has_neighbours(const ListedImage& image) {
  for (const ListedCaption& caption : image.captions) {
    const std::vector<Box>& boxes = caption.objects;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const std::int64_t apart = std::abs(boxes[i].y - boxes[j].y);
        if (apart < std::max(boxes[i].height, boxes[j].height) / 2) return true;
      }
    }
  }
  return false;
}

Var loss_on(const CaptionNet& net, const Batch& batch, const LossParts& parts) {
  return std::visit(
      [&](const auto& model) {
        const AttentionProbe probe;
        const auto encoded = model.encode(batch["images"]);
        const Var logits = model.decode(encoded, batch["target_in"]);  // [BK, T, V]
        Var loss =
            cross_entropy(logits, batch["target_out"],
                          {.ignore = Vocabulary::pad, .label_smoothing = parts.label_smoothing});
        if (parts.words > 0) {
          const Var seen = model.encoder.words_of(encoded.memory);  // [B, V]
          loss = loss + parts.words * words_loss(seen, batch["words"]);
        }
        if (parts.guide > 0) {
          loss = loss + parts.guide * guide_loss(looks_of(probe), batch["focus"]);
        }
        return loss;
      },
      net);
}

class CaptionTask : public Task {
 public:
  explicit CaptionTask(const CaptionOptions& options);

  std::vector<Parameter> parameters() override { return parameters_of(model_->net); }
  std::string digest() const override { return digest_; }
  Epoch epoch(std::int64_t number) override;
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
  Batch make_batch(const std::vector<std::int64_t>& rows, std::uint64_t random) const;
  /// The numbers of the captions of one picture that a step learns.
  std::vector<std::size_t> chosen(std::size_t picture, std::uint64_t random) const;
  /// A caption of a picture that may be flipped.
  CaptionIds words_of(std::size_t picture, std::size_t caption, bool flipped) const;
  /// [B K, T, S]: 1 where a word may look, which is everywhere for one without a box in sight.
  Tensor focus(const std::vector<std::int64_t>& rows, const std::vector<Origin>& origins,
               const std::vector<std::vector<std::size_t>>& chosen, const Shape& target) const;
  double padding(const std::vector<std::vector<std::int64_t>>& batches, std::uint64_t random) const;

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
  const auto has_boxes = [](const ListedImage& image) {
    return !image.captions.empty() && !image.captions[0].objects.empty();
  };
  if (o.guide > 0 && std::none_of(train_.list.begin(), train_.list.end(), has_boxes)) {
    throw TextError(o.train, 0, "does not say where objects are, which --guide goes by");
  }
  digest_ = digest_of(train_);
  fmt::print(stderr,
             "{} pictures with {} captions, {} for development; {} words (unknown {:.2f}%);"
             " {}\n",
             train_.list.size(), sentences.size(), dev_.list.size(), model_->words.size(),
             100 * model_->words.unknown_share(sentences), summary_of(*model_));
}

std::vector<std::size_t> CaptionTask::chosen(std::size_t picture, std::uint64_t random) const {
  std::vector<std::size_t> captions(train_.captions[picture].size());
  std::iota(captions.begin(), captions.end(), std::size_t{0});
  const auto most = static_cast<std::size_t>(options_.captions);
  if (most > 0 && captions.size() > most) {
    shuffle(captions, random);
    captions.resize(most);
  }
  return captions;
}

CaptionIds CaptionTask::words_of(std::size_t picture, std::size_t caption, bool flipped) const {
  CaptionIds ids = train_.captions[picture][caption];
  if (!flipped) return ids;
  const std::int32_t left = model_->words.id("left"), right = model_->words.id("right");
  for (std::int32_t& id : ids) {
    if (id == Vocabulary::unknown) continue;
    id = id == left ? right : id == right ? left : id;
  }
  return ids;
}

Tensor CaptionTask::focus(const std::vector<std::int64_t>& rows, const std::vector<Origin>& origins,
                          const std::vector<std::vector<std::size_t>>& chosen,
                          const Shape& target) const {
  const ImageEncoder& encoder = model_->encoder();
  const auto H = static_cast<std::size_t>(encoder.grid_height()),
             W = static_cast<std::size_t>(encoder.grid_width());
  const auto T = static_cast<std::size_t>(target[1]),
             K = static_cast<std::size_t>(target[0]) / rows.size();
  Tensor all = full({target[0], target[1], encoder.grid_height() * encoder.grid_width()}, 1);
  const std::span<float> cells = all.data<float>();
  const auto middle = [](std::size_t cell, std::size_t count, std::int64_t side) {
    return (static_cast<double>(cell) + 0.5) * static_cast<double>(side) /
               static_cast<double>(count) -
           0.5;
  };
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const auto picture = static_cast<std::size_t>(rows[b]);
    const PictureSize was = train_.pictures.sizes[picture];
    const double scale_y = static_cast<double>(was.height) / static_cast<double>(encoder.height),
                 scale_x = static_cast<double>(was.width) / static_cast<double>(encoder.width);
    for (std::size_t k = 0; k < chosen[b].size(); ++k) {
      const ListedCaption& listed = *train_.listed[picture][chosen[b][k]];
      const std::size_t words = train_.captions[picture][chosen[b][k]].size();
      if (listed.object_of_word.size() != words) continue;
      for (std::size_t t = 0; t < words; ++t) {
        if (listed.object_of_word[t] < 0) continue;
        const Box& box = listed.objects[static_cast<std::size_t>(listed.object_of_word[t])];
        const std::span<float> own = cells.subspan(((b * K + k) * T + t) * H * W, H * W);
        for (std::size_t i = 0; i < own.size(); ++i) {
          const auto [y, x] =
              origins[b](middle(i / W, H, encoder.height), middle(i % W, W, encoder.width));
          own[i] = box.contains((y + 0.5) * scale_y - 0.5, (x + 0.5) * scale_x - 0.5) ? 1 : 0;
        }
        if (std::find(own.begin(), own.end(), 1.f) == own.end()) {
          std::fill(own.begin(), own.end(), 1.f);
        }
      }
    }
  }
  return all;
}

Batch CaptionTask::make_batch(const std::vector<std::int64_t>& rows, std::uint64_t random) const {
  std::vector<Image> images;
  std::vector<Origin> origins;
  std::vector<bool> flipped;
  std::vector<std::vector<std::size_t>> picked;
  std::vector<std::vector<CaptionIds>> captions;
  for (const std::int64_t row : rows) {
    const auto picture = static_cast<std::size_t>(row);
    const std::uint64_t own = hash(random, picture);
    Augmentation how = options_.augmentation;
    how.flip = how.flip && !has_neighbours(train_.list[picture]);
    Augmented varied = augmented(train_.pictures.images[picture], how, own);
    images.push_back(std::move(varied.image));
    origins.push_back(varied.origin);
    flipped.push_back(varied.flipped);
    picked.push_back(chosen(picture, hash(own)));
    auto& words = captions.emplace_back();
    for (const std::size_t k : picked.back()) {
      words.push_back(words_of(picture, k, varied.flipped));
    }
  }
  CaptionRows target = caption_rows(captions);
  Batch batch{.tensors = {{"images", images_tensor(images)}}, .units = target.tokens};
  if (options_.words_loss > 0) {
    Tensor has({std::ssize(rows), model_->words.size()});
    const std::span<float> flags = has.data<float>();
    for (std::size_t b = 0; b < rows.size(); ++b) {
      // Of all captions, not only of those that the decoder learns.
      const auto picture = static_cast<std::size_t>(rows[b]);
      for (std::size_t k = 0; k < train_.captions[picture].size(); ++k) {
        for (const std::int32_t id : words_of(picture, k, flipped[b])) {
          flags[b * static_cast<std::size_t>(model_->words.size()) + static_cast<std::size_t>(id)] =
              1;
        }
      }
    }
    batch.tensors.emplace_back("words", has);
  }
  if (options_.guide > 0) {
    batch.tensors.emplace_back("focus", focus(rows, origins, picked, target.in.shape()));
  }
  if (options_.word_dropout > 0) {
    std::uint64_t n = 0;
    const auto limit = static_cast<std::uint64_t>(options_.word_dropout * 0x1p32);
    for (std::int32_t& id : target.in.data<std::int32_t>()) {
      const bool drop = hash(random, ~n++) >> 32 < limit;
      if (drop && id != Vocabulary::pad && id != Vocabulary::begin) id = Vocabulary::unknown;
    }
  }
  batch.tensors.emplace_back("target_in", target.in);
  batch.tensors.emplace_back("target_out", target.out);
  return batch;
}

double CaptionTask::padding(const std::vector<std::vector<std::int64_t>>& batches,
                            std::uint64_t random) const {
  std::size_t places = 0, words = 0;
  for (const std::vector<std::int64_t>& rows : batches) {
    std::size_t most = 0, longest = 0;
    for (const std::int64_t row : rows) {
      const auto picture = static_cast<std::size_t>(row);
      const std::vector<std::size_t> picked = chosen(picture, hash(hash(random, picture)));
      most = std::max(most, picked.size());
      for (const std::size_t k : picked) {
        const std::size_t length = train_.captions[picture][k].size() + 1;
        longest = std::max(longest, length);
        words += length;
      }
    }
    places += rows.size() * most * longest;
  }
  return 1 - static_cast<double>(words) / static_cast<double>(places);
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
          .padding = padding(batches.sentences, random),
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
    total += loss_on(model_->net, own, {}).item() * static_cast<double>(target.tokens);
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
        const LossParts parts{number_of(settings, "label_smoothing"),
                              number_of(settings, "words_loss"), number_of(settings, "guide")};
        return {parameters,
                [net, parts](const Batch& batch) { return loss_on(net, batch, parts); }};
      });
}

}  // namespace rapt::examples
