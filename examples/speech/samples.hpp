// Samples of a recogniser's output and attention, for the report.
#pragma once

#include "examples/common/report/spectrogram_view.hpp"
#include "examples/speech/model.hpp"

namespace rapt::examples {

/// Recognises an utterance from its features. Returns the attention of the last decoder layer for
/// each token (the mean over its heads), and CTC's best path.
SpectrogramSample sample_of(const SpeechModel& model, const std::string& reference,
                            const Features& features);

}  // namespace rapt::examples
