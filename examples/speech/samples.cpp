#include "examples/speech/samples.hpp"

#include <fmt/format.h>

#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/decoding/ctc_decoding.hpp"
#include "models/layers/probe.hpp"
#include "models/transformer_steps.hpp"
#include "ops/rows/softmax.hpp"
#include "tasks/text/text.hpp"

namespace rapt::examples {
using namespace tasks;

SpectrogramSample sample_of(const SpeechModel& model, const std::string& reference,
                            const Features& features) {
  const std::string text = recognise(model, {&features, 1}, {}, features.frames).at(0);
  const std::vector<std::int32_t> ids = model.tokens.encode(text);
  const Batch batch = make_speech_batch({&features, 1}, {&ids, 1});
  SpectrogramSample sample{.reference = reference,
                           .recognised = text,
                           .seconds = static_cast<double>(features.frames) * model.bank.shift,
                           .bands = features.width,
                           .values = features.values,
                           .tokens = {},
                           .weights = {},
                           .marks = {}};
  for (const std::int32_t id : ids) sample.tokens.push_back(model.tokens.token(id));
  sample.tokens.push_back(model.tokens.token(Vocabulary::end));
  const Tape tape;
  AttentionProbe probe;
  const SpeechTransformer::Encoded encoded = model.net.encode(batch["features"], batch["frames"]);
  model.net.decode(encoded, batch["target_in"]);
  const Var log_p = log_softmax(model.net.ctc_logits(encoded));
  Executor::current().run({log_p, encoded.lengths});
  for (const std::string& layer : probe.layers()) {
    if (layer.ends_with("cross_attention")) {
      sample.weights = probe.mean_weights(layer).to_vector<float>();  // [1, U + 1, T]
    }
  }
  const double column = sample.seconds / static_cast<double>(log_p.size(1));
  const CtcPath path = ctc_greedy(log_p.value(), encoded.lengths.value()).at(0);
  for (std::size_t i = 0; i < path.tokens.size(); ++i) {
    sample.marks.push_back({model.tokens.token(path.tokens[i]), path.times[i] * column});
  }
  return sample;
}

}  // namespace rapt::examples
