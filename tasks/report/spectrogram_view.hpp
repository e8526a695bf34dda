// A view of the report: the parts of an utterance that each recognised token attended to.
#pragma once

#include "tasks/report/report.hpp"

namespace rapt::tasks {

struct SpectrogramSample {
  std::string reference, recognised;
  double seconds = 0;               // duration of all frames, and of all columns
  std::int64_t bands = 0;           // per frame
  std::vector<float> values;        // [frames, bands]
  std::vector<std::string> tokens;  // recognised tokens, with the end mark
  std::vector<float> weights;       // attention [tokens, columns], in [0, 1]
  struct Mark {
    std::string token;
    double seconds;
  };
  std::vector<Mark> marks;  // times at which CTC starts a token
};

/// Returns a view of spectrograms, with a control to select the utterance. Below a spectrogram
/// there is one row per token, dark where the decoder attended. The token under the pointer or with
/// the focus is shown on the spectrogram. Throws std::invalid_argument if sizes do not match or
/// values are not finite.
ReportView spectrogram_view(std::string title, std::span<const SpectrogramSample> samples);

}  // namespace rapt::tasks
