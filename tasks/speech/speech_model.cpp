#include "tasks/speech/speech_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "framework/core/error.hpp"
#include "framework/files/checkpoint.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/ctc.hpp"
#include "ops/rows/loss.hpp"
#include "ops/shape/shape.hpp"
#include "tasks/data/metadata.hpp"
#include "tasks/text/text.hpp"
#include "tasks/training/nonfinite.hpp"

namespace rapt::tasks {
namespace {

constexpr const char* kind_name = "rapt SpeechTransformer 1";

constexpr Name<TokenKind> token_kinds[] = {{TokenKind::words, "words"},
                                           {TokenKind::characters, "characters"},
                                           {TokenKind::sentencepiece, "sentencepiece"}};
constexpr Name<WindowKind> windows[] = {{WindowKind::hann, "hann"},
                                        {WindowKind::hamming, "hamming"}};
constexpr Name<MelScale> scales[] = {{MelScale::htk, "htk"}, {MelScale::slaney, "slaney"}};

static_assert(Vocabulary::pad == 0, "CTC's blank is class 0, which no text has");

Metadata describe(const SpeechModel& m) {
  const auto& [features, vocab, channels, width, heads, encoder_layers, decoder_layers,
               feed_forward, dropout, max_frames, max_length] = m.options;
  return {{"kind", kind_name},
          {"features", std::to_string(features)},
          {"vocab", std::to_string(vocab)},
          {"channels", std::to_string(channels)},
          {"width", std::to_string(width)},
          {"heads", std::to_string(heads)},
          {"encoder_layers", std::to_string(encoder_layers)},
          {"decoder_layers", std::to_string(decoder_layers)},
          {"feed_forward", std::to_string(feed_forward)},
          {"max_frames", std::to_string(max_frames)},
          {"max_length", std::to_string(max_length)},
          {"tokens", name_of(m.tokens.kind(), token_kinds)},
          {"lower", m.tokens.lower() ? "1" : "0"},
          {"rate", std::to_string(m.bank.rate)},
          {"window", fmt::format("{}", m.bank.window)},
          {"shift", fmt::format("{}", m.bank.shift)},
          {"low", fmt::format("{}", m.bank.low)},
          {"high", fmt::format("{}", m.bank.high)},
          {"pre_emphasis", fmt::format("{}", m.bank.pre_emphasis)},
          {"window_kind", name_of(m.bank.kind, windows)},
          {"mel_scale", name_of(m.bank.scale, scales)},
          {"level", fmt::format("{}", m.bank.level)},
          {"floor", fmt::format("{}", m.bank.floor)}};
}

/// Returns rows of any lengths as [B, N], padded with 0.
Tensor padded(const std::vector<std::vector<std::int32_t>>& rows) {
  std::size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.size());
  Tensor all({std::ssize(rows), static_cast<std::int64_t>(width)}, DType::int32);
  std::int32_t* to = all.data<std::int32_t>().data();
  for (const auto& row : rows) {
    std::fill(std::copy(row.begin(), row.end(), to), to + width, 0);
    to += width;
  }
  return all;
}

struct PaddedFeatures {
  Tensor values;   // [B, T, F]
  Tensor lengths;  // int32 [B]
};

PaddedFeatures padded(std::span<const Features> features) {
  std::int64_t frames = 0;
  std::vector<std::int32_t> lengths;
  for (const Features& one : features) {
    frames = std::max(frames, one.frames);
    lengths.push_back(static_cast<std::int32_t>(one.frames));
  }
  Tensor values({std::ssize(features), frames, features.front().width});
  float* to = values.data<float>().data();
  for (const Features& one : features) {
    float* next = to + frames * one.width;
    std::fill(std::copy(one.values.begin(), one.values.end(), to), next, 0.f);
    to = next;
  }
  return {values, tensor(lengths, {std::ssize(lengths)})};
}

}  // namespace

void SpeechModel::save(const std::string& folder, const std::string& file) {
  std::filesystem::create_directories(folder);
  tokens.save(folder + "/text");
  save_parameters(folder + "/" + file, parameters(net), describe(*this));
}

SpeechModel SpeechModel::load(const std::string& folder, const std::string& file) {
  const std::string path = folder + "/" + file;
  const Metadata entries = load_safetensors(path).metadata;
  const MetadataReader reader(path, entries);
  if (reader.text("kind") != kind_name) {
    throw Error(fmt::format("{}: is no model of this program (its kind is '{}')", path,
                            reader.text("kind")));
  }
  const SpeechTransformerOptions options{.features = reader.number("features"),
                                         .vocab = reader.number("vocab"),
                                         .channels = reader.number("channels"),
                                         .width = reader.number("width"),
                                         .heads = reader.number("heads"),
                                         .encoder_layers = reader.number("encoder_layers"),
                                         .decoder_layers = reader.number("decoder_layers"),
                                         .feed_forward = reader.number("feed_forward"),
                                         .max_frames = reader.number("max_frames"),
                                         .max_length = reader.number("max_length")};
  const FilterbankOptions bank{.rate = static_cast<int>(reader.number("rate")),
                               .window = number_of(entries, "window"),
                               .shift = number_of(entries, "shift"),
                               .mels = options.features,
                               .low = number_of(entries, "low"),
                               .high = number_of(entries, "high"),
                               .pre_emphasis = number_of(entries, "pre_emphasis"),
                               .kind = reader.one_of("window_kind", windows),
                               .scale = reader.one_of("mel_scale", scales),
                               .level = number_of(entries, "level"),
                               .floor = number_of(entries, "floor")};
  SpeechModel model{options, bank,
                    Tokenizer::load(folder + "/text", reader.one_of("tokens", token_kinds),
                                    reader.number("lower") != 0),
                    SpeechTransformer(options, Key{})};
  if (model.tokens.size() != options.vocab) {
    throw Error(fmt::format("{}: the vocabulary beside it has {} tokens, it needs {}", path,
                            model.tokens.size(), options.vocab));
  }
  load_parameters(path, parameters(model.net));
  return model;
}

Batch make_speech_batch(std::span<const Features> features,
                        std::span<const std::vector<std::int32_t>> tokens) {
  std::vector<std::vector<std::int32_t>> in, out;
  std::vector<std::int32_t> labels;
  std::int64_t units = 0;
  for (const auto& ids : tokens) {
    in.push_back({Vocabulary::begin});
    in.back().insert(in.back().end(), ids.begin(), ids.end());
    out.push_back(ids);
    out.back().push_back(Vocabulary::end);
    labels.push_back(static_cast<std::int32_t>(ids.size()));
    units += std::ssize(ids) + 1;
  }
  const PaddedFeatures frames = padded(features);
  return {.tensors = {{"features", frames.values},
                      {"frames", frames.lengths},
                      {"target_in", padded(in)},
                      {"target_out", padded(out)},
                      {"labels", tensor(labels, {std::ssize(labels)})}},
          .units = units};
}

Var joint_loss(const SpeechTransformer& net, const Batch& batch, double ctc_weight,
               double label_smoothing) {
  const SpeechTransformer::Encoded encoded = net.encode(batch["features"], batch["frames"]);
  const Var logits = net.decode(encoded, batch["target_in"]);  // [B, U + 1, V]
  const Var attention = cross_entropy(
      logits, batch["target_out"], {.ignore = Vocabulary::pad, .label_smoothing = label_smoothing});
  // The labels are the targets without their end marks, which lie beyond the given lengths.
  const Var alignment = ctc_loss(net.ctc_logits(encoded), batch["target_out"], encoded.lengths,
                                 batch["labels"], {.zero_infinity = true});
  return ctc_weight * alignment + (1 - ctc_weight) * attention;
}

std::vector<std::vector<Hypothesis>> search_utterances(const SpeechModel& model,
                                                       std::span<const Features> features,
                                                       const SearchOptions& options,
                                                       std::int64_t batch_frames) {
  std::vector<std::size_t> order(features.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return features[a].frames < features[b].frames;
  });
  const BeamOptions beam{.beam = options.beam,
                         .best = options.best,
                         .begin = Vocabulary::begin,
                         .end = Vocabulary::end,
                         .pad = Vocabulary::pad,
                         .never = {Vocabulary::unknown},
                         .norm = options.length_penalty == 0 ? LengthNorm::none : LengthNorm::power,
                         .alpha = options.length_penalty,
                         .length_factor = 1,
                         .max_length = model.options.max_length - 1,
                         .stop = Stop::exact,
                         .normalise = false};
  std::vector<std::vector<Hypothesis>> all(features.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::vector<Features> some;
    std::size_t end = begin;
    for (; end < order.size(); ++end) {
      const std::int64_t frames = features[order[end]].frames;
      if (end > begin && frames * (std::ssize(some) + 1) > batch_frames) break;
      some.push_back(features[order[end]]);
    }
    const PaddedFeatures batch = padded(some);
    const auto steps =
        start(model.net, batch.values, batch.lengths, options.ctc_weight, Vocabulary::end);
    auto found = beam_search(*steps, beam);
    for (std::size_t i = begin; i < end; ++i) all[order[i]] = std::move(found[i - begin]);
    begin = end;
  }
  return all;
}

std::vector<std::string> recognise(const SpeechModel& model, std::span<const Features> features,
                                   const SearchOptions& options, std::int64_t batch_frames) {
  std::vector<std::string> texts;
  for (const auto& hypotheses : search_utterances(model, features, options, batch_frames)) {
    texts.push_back(hypotheses.empty() ? "" : model.tokens.decode(hypotheses.front().tokens));
  }
  return texts;
}

}  // namespace rapt::tasks
