#include "tasks/captions/caption_model.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "models/decoding/ensemble.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tasks/captions/caption_fields.hpp"
#include "tasks/images/image_changes.hpp"
#include "tasks/model_files/model_file.hpp"

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

/// Returns a lower bound of the numbers of an encoder whose vectors have this width.
double least_numbers(const ImageEncoderOptions& o, double memory) {
  double numbers = memory * static_cast<double>(o.words), channels = 3;
  double height = static_cast<double>(o.height), width = static_cast<double>(o.width);
  for (const ImageEncoderOptions::Stage& stage : o.stages) {
    const auto out = static_cast<double>(stage.channels);
    numbers += 9 * out * channels + 18 * out * out * static_cast<double>(stage.blocks);
    channels = out;
    height = std::ceil(height / 2);
    width = std::ceil(width / 2);
  }
  return numbers + memory * (channels + height + width);
}

/// Throws Error if a model of these options holds more than the file's tensors.
void check_size(const ModelFile& file, const GruCaptionerOptions& o) {
  const auto embed = static_cast<double>(o.embed), hidden = static_cast<double>(o.hidden),
             memory = static_cast<double>(o.image.memory), vocab = static_cast<double>(o.vocab),
             readout = static_cast<double>(o.readout), all = embed + hidden + memory;
  file.expect_numbers(least_numbers(o.image, memory) + vocab * embed + 3 * hidden * all +
                      (readout > 0 ? readout * (all + vocab) : all * vocab));
}

void check_size(const ModelFile& file, const TransformerCaptionerOptions& o) {
  const auto width = static_cast<double>(o.decoder.width),
             inner = static_cast<double>(o.decoder.feed_forward),
             vocab = static_cast<double>(o.decoder.vocab),
             layers = static_cast<double>(o.decoder.layers);
  file.expect_numbers(least_numbers(o.image, width) + vocab * width * (o.decoder.tied ? 1 : 2) +
                          layers * (8 * width * width + 2 * width * inner),
                      width * static_cast<double>(o.decoder.max_length));
}

/// Reads the options that a file describes, for a vocabulary of so many words.
CaptionNetOptions options_of(const ModelFile& file, std::int64_t vocab) {
  file.expect_kind({gru_kind, transformer_kind});
  if (file.kind() == gru_kind) {
    GruCaptionerOptions options;
    file.read(options);
    options.vocab = vocab;
    check_size(file, options);
    return options;
  }
  TransformerCaptionerOptions options;
  file.read(options);
  options.decoder.vocab = vocab;
  check_size(file, options);
  return options;
}

}  // namespace

std::string CaptionModel::decode(std::span<const std::int32_t> ids) const {
  return fmt::format("{}", fmt::join(words.decode(ids), " "));
}

void CaptionModel::save(const std::string& folder, const std::string& file) {
  std::filesystem::create_directories(folder);
  words.save(folder + "/words.vocab");
  Metadata entries = std::visit([&](const auto& o) { return described(o, how); }, options);
  entries["words_digest"] = digest_of_file(folder + "/words.vocab");
  const bool gru = std::holds_alternative<GruCaptionerOptions>(options);
  save_model(folder + "/" + file, gru ? gru_kind : transformer_kind, parameters_of(net),
             std::move(entries));
}

CaptionModel CaptionModel::load(const std::string& folder, const std::string& name) {
  const ModelFile file(folder + "/" + name);
  file.expect_digest("words_digest", folder + "/words.vocab");
  Vocabulary words = Vocabulary::load(folder + "/words.vocab");
  const CaptionNetOptions options = options_of(file, words.size());
  CaptionModel model{options, {}, std::move(words), make_caption_net(options, Key{})};
  file.read(model.how);
  file.restore(parameters_of(model.net));
  return model;
}

std::string caption_info(const std::string& folder) {
  const ModelFile file(folder + "/model.safetensors");
  CaptionWords how;
  file.read(how);
  return model_info(
      file, std::visit([&](const auto& o) { return printed(o, how); }, options_of(file, 0)));
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
