// Samples of a recogniser's output and attention, for the report.
#pragma once

#include "tasks/report/spectrogram_view.hpp"
#include "tasks/speech/speech_model.hpp"

namespace rapt::examples {
using namespace tasks;

/// Recognises an utterance from its features. Returns the attention of the last decoder layer for
/// each token (the mean over its heads), and CTC's best path.
SpectrogramSample sample_of(const SpeechModel& model, const std::string& reference,
                            const Features& features);

}  // namespace rapt::examples
