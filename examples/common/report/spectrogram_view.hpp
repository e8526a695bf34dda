// A view of the report: where in an utterance each word was heard.
#pragma once

#include "examples/common/report/report.hpp"

namespace rapt::examples {

struct SpectrogramSample {
  std::string reference, recognised;
  double seconds = 0;               // what all frames, and all columns, take
  std::int64_t bands = 0;           // of a frame
  std::vector<float> values;        // [frames, bands]
  std::vector<std::string> tokens;  // those written, with the end mark
  std::vector<float> weights;       // [tokens, columns]: how much each looked where, in [0, 1]
  struct Mark {
    std::string token;
    double seconds;
  };
  std::vector<Mark> marks;  // where CTC begins a token
};

/// A spectrogram with a picker of the utterance; below it a row a token, dark where the decoder
/// looked. A token that is pointed at or has the focus is shown on the spectrogram. Throws
/// std::invalid_argument where sizes do not fit, or values are not finite.
ReportView spectrogram_view(std::string title, std::span<const SpectrogramSample> samples);

}  // namespace rapt::examples
