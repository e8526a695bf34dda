#include "tasks/speech/speech_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "framework/core/error.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/ctc.hpp"
#include "ops/rows/loss.hpp"
#include "ops/shape/shape.hpp"
#include "tasks/model_files/model_file.hpp"
#include "tasks/speech/speech_fields.hpp"
#include "tasks/text/text.hpp"
#include "tasks/text/tokenizer_fields.hpp"

namespace rapt::tasks {
namespace {

constexpr const char* kind_name = "rapt SpeechTransformer 1";

static_assert(Vocabulary::pad == 0, "CTC's blank is class 0, which no text has");

/// Throws Error if a model of these options holds more than the file's tensors.
void check_size(const ModelFile& file, const SpeechTransformerOptions& o) {
  const auto width = static_cast<double>(o.width), inner = static_cast<double>(o.feed_forward),
             vocab = static_cast<double>(o.vocab), channels = static_cast<double>(o.channels),
             features = static_cast<double>(o.features),
             length = static_cast<double>(o.max_frames) + static_cast<double>(o.max_length);
  file.expect_numbers(
      2 * vocab * width + 9 * channels * channels + channels * features / 4 * width +
          static_cast<double>(o.encoder_layers) * (4 * width * width + 2 * width * inner) +
          static_cast<double>(o.decoder_layers) * (8 * width * width + 2 * width * inner),
      length * width);
}

/// Reads the options that a file describes.
void read(const ModelFile& file, SpeechTransformerOptions& options, FilterbankOptions& bank,
          TokenFields& tokens) {
  file.expect_kind({kind_name});
  file.read(options);
  file.read(bank);
  file.read(tokens);
  bank.mels = options.features;
  check_size(file, options);
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
  Metadata entries = described(options, bank, TokenFields{tokens.kind(), tokens.lower()});
  entries["text_digest"] = digest_of_file(Tokenizer::file_name(folder + "/text", tokens.kind()));
  save_model(folder + "/" + file, kind_name, parameters(net), std::move(entries));
}

SpeechModel SpeechModel::load(const std::string& folder, const std::string& name) {
  const ModelFile file(folder + "/" + name);
  SpeechTransformerOptions options;
  FilterbankOptions bank;
  TokenFields kind;
  read(file, options, bank, kind);
  file.expect_digest("text_digest", Tokenizer::file_name(folder + "/text", kind.kind));
  Tokenizer tokens = Tokenizer::load(folder + "/text", kind.kind, kind.lower);
  if (tokens.size() != options.vocab) {
    throw FileError(fmt::format("{}: the vocabulary beside it has {} tokens, it needs {}",
                                file.path(), tokens.size(), options.vocab));
  }
  SpeechModel model{options, bank, std::move(tokens), SpeechTransformer(options, Key{})};
  file.restore(parameters(model.net));
  return model;
}

std::string speech_info(const std::string& folder) {
  const ModelFile file(folder + "/model.safetensors");
  SpeechTransformerOptions options;
  FilterbankOptions bank;
  TokenFields tokens;
  read(file, options, bank, tokens);
  return model_info(file, printed(options, bank, tokens));
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
