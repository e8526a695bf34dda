// speech decode: recognises the utterances of a list.
#include <fmt/format.h>

#include <chrono>

#include "examples/speech/options.hpp"
#include "framework/run/executor.hpp"

namespace rapt::examples {
using namespace tasks;

int decode(const SpeechDecodeOptions& o) {
  Executor executor({.threads = o.threads});
  const Executor::Use use(executor);
  const SpeechModel model = SpeechModel::load(o.model);
  const Filterbank bank(model.bank);
  SkipReport skipped;
  SkipReport* report = o.skip_bad ? &skipped : nullptr;
  const double longest = 4 * static_cast<double>(model.options.max_frames) * model.bank.shift;
  Recordings recordings(o.audio, model.bank.rate, longest);
  const std::vector<Utterance> utterances =
      recordings.readable(read_utterances(o.list, report), o.list, report);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Features> features;
  for (const Utterance& utterance : utterances) {
    features.push_back(bank(recordings.join(utterance.files, utterance.gaps)));
    normalise(features.back());
  }
  const std::vector<std::string> texts = recognise(model, features, o.search, o.batch_frames);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  double frames = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    fmt::print("{}\t{}\n", utterances[i].id, texts[i]);
    frames += static_cast<double>(features[i].frames);
  }
  if (skipped.count() > 0) fmt::print(stderr, "{}: {}\n", o.list, skipped.message());
  fmt::print(stderr, "{} utterances in {:.1f} seconds, {:.0f} times as fast as spoken\n",
             texts.size(), passed.count(), frames * model.bank.shift / passed.count());
  return 0;
}

}  // namespace rapt::examples
