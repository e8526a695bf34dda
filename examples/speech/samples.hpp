// What a recogniser heard where, for the report.
#pragma once

#include "examples/common/report/spectrogram_view.hpp"
#include "examples/speech/model.hpp"

namespace rapt::examples {

/// An utterance, its features given, with what the last decoder layer looked at for each token
/// (the mean of its heads), and CTC's best path.
SpectrogramSample sample_of(const SpeechModel& model, const std::string& reference,
                            const Features& features);

}  // namespace rapt::examples
