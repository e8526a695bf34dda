#include "tasks/captions/caption_model.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "framework/core/error.hpp"
#include "framework/files/checkpoint.hpp"
#include "framework/graph/tape.hpp"
#include "models/decoding/ensemble.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tasks/data/metadata.hpp"
#include "tasks/images/image_changes.hpp"

namespace rapt::tasks {

CaptionNet make_caption_net(const CaptionNetOptions& options, Key key) {
  if (const auto* gru = std::get_if<GruCaptionerOptions>(&options)) return GruCaptioner(*gru, key);
  return TransformerCaptioner(std::get<TransformerCaptionerOptions>(options), key);
}

std::vector<Parameter> parameters_of(CaptionNet& net) {
  return std::visit([](auto& model) { return parameters(model); }, net);
}

const ImageEncoder& encoder_of(const CaptionNet& net) {
  return std::visit([](const auto& model) -> const ImageEncoder& { return model.encoder; }, net);
}

Tensor images_tensor(std::span<const Image> images) {
  if (images.empty()) return Tensor({0, 3, 0, 0});
  const std::int64_t H = images[0].height, W = images[0].width;
  Tensor tensor({std::ssize(images), 3, H, W});
  const auto size = static_cast<std::size_t>(3 * H * W);
  std::span<float> to = tensor.data<float>();
  for (const Image& image : images) {
    normalise(image, to.first(size));
    to = to.subspan(size);
  }
  return tensor;
}

CaptionRows caption_rows(std::span<const std::vector<CaptionIds>> captions) {
  std::size_t most = 0, longest = 0;
  for (const auto& of_one : captions) {
    most = std::max(most, of_one.size());
    for (const CaptionIds& caption : of_one) longest = std::max(longest, caption.size());
  }
  const std::size_t steps = longest + 1;
  const Shape shape{static_cast<std::int64_t>(captions.size() * most),
                    static_cast<std::int64_t>(steps)};
  CaptionRows rows{full(shape, Vocabulary::pad, DType::int32),
                   full(shape, Vocabulary::pad, DType::int32)};
  const std::span<std::int32_t> in = rows.in.data<std::int32_t>(),
                                out = rows.out.data<std::int32_t>();
  for (std::size_t i = 0; i < captions.size(); ++i) {
    for (std::size_t k = 0; k < captions[i].size(); ++k) {
      const CaptionIds& caption = captions[i][k];
      const auto at = static_cast<std::ptrdiff_t>((i * most + k) * steps);
      in[static_cast<std::size_t>(at)] = Vocabulary::begin;
      std::copy(caption.begin(), caption.end(), in.begin() + at + 1);
      std::copy(caption.begin(), caption.end(), out.begin() + at);
      out[static_cast<std::size_t>(at) + caption.size()] = Vocabulary::end;
      rows.tokens += std::ssize(caption) + 1;
    }
  }
  return rows;
}

namespace {

std::unique_ptr<StepModel> start(const std::vector<CaptionReader>& readers, std::size_t first,
                                 std::size_t count) {
  std::vector<std::unique_ptr<StepModel>> members;
  for (const CaptionReader& reader : readers) {
    const Tensor images = images_tensor(reader.images.subspan(first, count));
    members.push_back(
        std::visit([&](const auto& model) { return rapt::start(model, images); }, reader.net));
  }
  if (members.size() == 1) return std::move(members.front());
  return ensemble(std::move(members));
}

/// Calls use(first, count) for successive batches of at most `batch_size`.
template <class Use>
void in_batches(std::size_t all, std::int64_t batch_size, const Use& use) {
  const auto most = static_cast<std::size_t>(batch_size);
  for (std::size_t first = 0; first < all; first += most) use(first, std::min(most, all - first));
}

}  // namespace

BeamOptions caption_search(std::int64_t beam, double length_penalty, std::int64_t max_length) {
  return {.beam = beam,
          .begin = Vocabulary::begin,
          .end = Vocabulary::end,
          .pad = Vocabulary::pad,
          .never = {Vocabulary::unknown},
          .norm = length_penalty == 0 ? LengthNorm::none : LengthNorm::power,
          .alpha = length_penalty,
          .length_factor = 0,
          .length_extra = max_length,
          .max_length = max_length};
}

std::vector<std::vector<Hypothesis>> search_pictures(const std::vector<CaptionReader>& readers,
                                                     std::int64_t batch_size,
                                                     const BeamOptions& options) {
  std::vector<std::vector<Hypothesis>> all;
  in_batches(readers.at(0).images.size(), batch_size, [&](std::size_t first, std::size_t count) {
    const auto model = start(readers, first, count);
    for (auto& found : beam_search(*model, options)) all.push_back(std::move(found));
  });
  return all;
}

std::vector<CaptionIds> search_captions(const std::vector<CaptionReader>& readers,
                                        std::int64_t batch_size, const BeamOptions& options) {
  std::vector<CaptionIds> captions;
  for (auto& found : search_pictures(readers, batch_size, options)) {
    captions.push_back(std::move(found.at(0).tokens));
  }
  return captions;
}

Var looks_of(const AttentionProbe& probe) {
  std::string last;
  for (const std::string& layer : probe.layers()) {
    if (layer.find("self_attention") == layer.npos) last = layer;
  }
  const std::size_t calls = probe.calls(last);
  if (const Var& all = probe.recorded(last); all.rank() == 4) return mean(all, 1);
  // One call per step, each [B, S] or [B, K, S].
  std::vector<Var> steps;
  for (std::size_t call = 0; call < calls; ++call) steps.push_back(probe.recorded(last, call));
  const Var all = stack(steps, steps[0].rank() - 1);
  return all.rank() == 3 ? all
                         : reshape(all, {all.size(0), all.size(1) * all.size(2), all.size(3)});
}

std::vector<std::vector<float>> looked_at(const CaptionNet& net, std::span<const Image> images,
                                          std::span<const CaptionIds> captions,
                                          std::int64_t batch_size) {
  const ImageEncoder& encoder = encoder_of(net);
  const auto places = static_cast<std::size_t>(encoder.grid_height() * encoder.grid_width());
  std::vector<std::vector<float>> looks;
  in_batches(images.size(), batch_size, [&](std::size_t first, std::size_t count) {
    std::vector<std::vector<CaptionIds>> one_each;
    for (const CaptionIds& caption : captions.subspan(first, count)) one_each.push_back({caption});
    const CaptionRows rows = caption_rows(one_each);
    const Tape tape;
    const AttentionProbe probe;
    std::visit([&](const auto& m) { m(images_tensor(images.subspan(first, count)), rows.in); },
               net);
    const std::vector<float> all = looks_of(probe).value().to_vector<float>();  // [B, T, S]
    const std::size_t each = all.size() / count;
    for (std::size_t i = 0; i < count; ++i) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(i * each);
      looks.emplace_back(begin,
                         begin + static_cast<std::ptrdiff_t>(captions[first + i].size() * places));
    }
  });
  return looks;
}

// ---- files --------------------------------------------------------------------------------------

namespace {

constexpr const char *gru_kind = "rapt GruCaptioner 1",
                     *transformer_kind = "rapt TransformerCaptioner 1";

Metadata describe(const ImageEncoderOptions& o) {
  Metadata entries{
      {"height", std::to_string(o.height)}, {"width", std::to_string(o.width)},
      {"groups", std::to_string(o.groups)}, {"memory", std::to_string(o.memory)},
      {"words", std::to_string(o.words)},   {"stages", std::to_string(o.stages.size())}};
  for (std::size_t i = 0; i < o.stages.size(); ++i) {
    entries[fmt::format("channels_{}", i)] = std::to_string(o.stages[i].channels);
    entries[fmt::format("blocks_{}", i)] = std::to_string(o.stages[i].blocks);
  }
  return entries;
}

ImageEncoderOptions image_options_from(const MetadataReader& r) {
  ImageEncoderOptions o{.height = r.number("height"),
                        .width = r.number("width"),
                        .stages = {},
                        .groups = r.number("groups"),
                        .memory = r.number("memory"),
                        .words = r.number("words")};
  for (std::int64_t i = 0; i < r.number("stages"); ++i) {
    o.stages.push_back(
        {r.number(fmt::format("channels_{}", i)), r.number(fmt::format("blocks_{}", i))});
  }
  return o;
}

Metadata describe(const GruCaptionerOptions& o) {
  Metadata entries = describe(o.image);
  entries["kind"] = gru_kind;
  entries["embed"] = std::to_string(o.embed);
  entries["hidden"] = std::to_string(o.hidden);
  entries["readout"] = std::to_string(o.readout);
  return entries;
}

Metadata describe(const TransformerCaptionerOptions& o) {
  Metadata entries = describe(o.image);
  entries["kind"] = transformer_kind;
  entries["decoder_width"] = std::to_string(o.decoder.width);
  entries["heads"] = std::to_string(o.decoder.heads);
  entries["layers"] = std::to_string(o.decoder.layers);
  entries["feed_forward"] = std::to_string(o.decoder.feed_forward);
  entries["norm_first"] = o.decoder.norm_first ? "1" : "0";
  entries["tied"] = o.decoder.tied ? "1" : "0";
  entries["max_length"] = std::to_string(o.decoder.max_length);
  return entries;
}

CaptionNetOptions options_from(const MetadataReader& r, std::int64_t vocab,
                               const std::string& path) {
  const std::string kind = r.text("kind");
  if (kind == gru_kind) {
    return GruCaptionerOptions{.image = image_options_from(r),
                               .vocab = vocab,
                               .embed = r.number("embed"),
                               .hidden = r.number("hidden"),
                               .readout = r.number("readout")};
  }
  if (kind == transformer_kind) {
    return TransformerCaptionerOptions{.image = image_options_from(r),
                                       .decoder = {.vocab = vocab,
                                                   .width = r.number("decoder_width"),
                                                   .heads = r.number("heads"),
                                                   .layers = r.number("layers"),
                                                   .feed_forward = r.number("feed_forward"),
                                                   .norm_first = r.number("norm_first") != 0,
                                                   .tied = r.number("tied") != 0,
                                                   .max_length = r.number("max_length")}};
  }
  throw Error(fmt::format("{}: is no model of this program (its kind is '{}')", path, kind));
}

}  // namespace

std::string CaptionModel::decode(std::span<const std::int32_t> ids) const {
  return fmt::format("{}", fmt::join(words.decode(ids), " "));
}

void CaptionModel::save(const std::string& folder, const std::string& file) {
  std::filesystem::create_directories(folder);
  words.save(folder + "/words.vocab");
  Metadata entries = std::visit([](const auto& o) { return describe(o); }, options);
  entries["lower"] = how.lower ? "1" : "0";
  entries["strip_punctuation"] = how.strip_punctuation ? "1" : "0";
  save_parameters(folder + "/" + file, parameters_of(net), entries);
}

CaptionModel CaptionModel::load(const std::string& folder, const std::string& file) {
  const std::string path = folder + "/" + file;
  const MetadataReader reader(path, load_safetensors(path).metadata);
  Vocabulary words = Vocabulary::load(folder + "/words.vocab");
  const CaptionNetOptions options = options_from(reader, words.size(), path);
  CaptionModel model{options,
                     {.lower = reader.number("lower") != 0,
                      .strip_punctuation = reader.number("strip_punctuation") != 0},
                     std::move(words),
                     make_caption_net(options, Key{})};
  load_parameters(path, parameters_of(model.net));
  return model;
}

std::string summary_of(const CaptionModel& model) {
  const ImageEncoder& encoder = model.encoder();
  const std::string grid = fmt::format("{} x {} pixels to a grid of {} x {}", encoder.width,
                                       encoder.height, encoder.grid_width(), encoder.grid_height());
  if (const auto* gru = std::get_if<GruCaptionerOptions>(&model.options)) {
    return fmt::format("{}, GRU with additive attention, hidden width {}", grid, gru->hidden);
  }
  const auto& o = std::get<TransformerCaptionerOptions>(model.options).decoder;
  return fmt::format("{}, Transformer decoder, {} layers, width {}, {} heads", grid, o.layers,
                     o.width, o.heads);
}

}  // namespace rapt::tasks
