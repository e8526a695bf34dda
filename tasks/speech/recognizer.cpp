#include "tasks/speech/recognizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "models/layers/probe.hpp"
#include "tasks/data/executors.hpp"

namespace rapt::inline v0 {

using namespace tasks;

struct Recognizer::State {
  SpeechModel model;
  Filterbank bank;
  Executors executors;

  State(SpeechModel loaded, int threads)
      : model(std::move(loaded)), bank(model.bank), executors(threads) {}
};

namespace {

void check(const Audio& recording, std::size_t index, const SpeechModel& model,
           const Filterbank& bank) {
  const auto fault = [&](const std::string& what) {
    return Error(fmt::format("recording {}: {}", index + 1, what));
  };
  if (recording.rate != model.bank.rate) {
    throw fault(fmt::format("{} samples per second, the model was trained with {}", recording.rate,
                            model.bank.rate));
  }
  if (recording.samples.empty()) throw fault("no samples");
  for (const float sample : recording.samples) {
    if (!std::isfinite(sample)) throw fault("a sample that is not finite");
  }
  // The convolutions keep a quarter of the frames.
  const std::int64_t frames = bank.frames(std::ssize(recording.samples)),
                     most = 4 * model.options.max_frames;
  if (frames > most) {
    throw fault(fmt::format("{} frames, the model reads at most {}", frames, most));
  }
}

void add_attention(Recognition& to, const SpeechModel& model, const Features& features,
                   const std::vector<std::int32_t>& tokens) {
  const Batch batch = make_speech_batch({&features, 1}, {&tokens, 1});
  const Tape tape;
  AttentionProbe probe;
  model.net.decode(model.net.encode(batch["features"], batch["frames"]), batch["target_in"]);
  for (const std::string& layer : probe.layers()) {
    if (layer.ends_with("cross_attention"))
      to.weights = probe.mean_weights(layer).to_vector<float>();
  }
  const auto times = std::ssize(to.weights) / std::ssize(to.tokens);
  const double length = static_cast<double>(features.frames) * model.bank.shift;
  for (auto row = to.weights.begin(); row != to.weights.end(); row += times) {
    const auto at = static_cast<double>(std::max_element(row, row + times) - row);
    to.seconds.push_back((at + 0.5) / static_cast<double>(times) * length);
  }
}

}  // namespace

Recognizer::Recognizer(const std::string& folder, int threads)
    : state_(std::make_shared<State>(SpeechModel::load(folder), threads)) {
  parameters(state_->model.net);  // names the layers
}

std::string Recognizer::recognize(const std::string& file) const {
  return recognize(read_audio(file, {.rate = model().bank.rate}));
}

std::string Recognizer::recognize(const Audio& recording) const {
  return recognize({&recording, 1}).front().front().text;
}

std::vector<std::vector<Recognition>> Recognizer::recognize(std::span<const Audio> recordings,
                                                            const RecognitionOptions& o) const {
  const SpeechModel& own = model();
  std::vector<Features> features;
  for (std::size_t i = 0; i < recordings.size(); ++i) {
    check(recordings[i], i, own, state_->bank);
    normalise(features.emplace_back(state_->bank(recordings[i].samples)));
  }
  std::vector<std::vector<Recognition>> all(recordings.size());
  const Executors::Lease lease(state_->executors);
  const auto found = search_utterances(own, features, o.search, o.batch_frames);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const Hypothesis& h : found[i]) {
      Recognition& to = all[i].emplace_back();
      to.text = own.tokens.decode(h.tokens);
      to.log_probability = h.log_probability;
      to.score = h.score;
      for (const std::int32_t id : h.tokens) to.tokens.push_back(own.tokens.token(id));
      to.tokens.push_back(own.tokens.token(Vocabulary::end));
      if (o.attention) add_attention(to, own, features[i], h.tokens);
    }
    if (all[i].empty()) all[i].emplace_back();
  }
  return all;
}

const SpeechModel& Recognizer::model() const { return state_->model; }

}  // namespace rapt::v0
