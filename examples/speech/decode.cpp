// speech decode: recognises the utterances of a list.
#include <fmt/format.h>

#include <chrono>

#include "examples/speech/options.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/speech/recognizer.hpp"

namespace rapt::examples {
using namespace tasks;

int decode(const SpeechDecodeOptions& o) {
  const Recognizer recognizer(o.model, o.threads);
  const SpeechModel& model = recognizer.model();
  SkipReport skipped;
  SkipReport* report = o.skip_bad ? &skipped : nullptr;
  const double longest = 4 * static_cast<double>(model.options.max_frames) * model.bank.shift;
  Recordings recordings(o.audio, model.bank.rate, longest,
                        {.resample = o.resample, .mix = o.mix_channels});
  const std::vector<Utterance> utterances =
      recordings.readable(read_utterances(o.list, report), o.list, report);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Audio> recorded;
  double seconds = 0;
  for (const Utterance& utterance : utterances) {
    recorded.push_back({recordings.join(utterance.files, utterance.gaps), model.bank.rate});
    seconds += static_cast<double>(recorded.back().samples.size()) / model.bank.rate;
  }
  const auto found =
      recognizer.recognize(recorded, {.search = o.search, .batch_frames = o.batch_frames});
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  for (std::size_t i = 0; i < found.size(); ++i) {
    fmt::print("{}\t{}\n", utterances[i].id, found[i].front().text);
  }
  if (skipped.count() > 0) print_message(fmt::format("{}: {}", o.list, skipped.message()));
  print_message(fmt::format("{} utterances in {:.1f} seconds, {:.0f} times as fast as spoken",
                            found.size(), passed.count(), seconds / passed.count()));
  return 0;
}

}  // namespace rapt::examples
