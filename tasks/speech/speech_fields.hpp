// The options of speech models: one description for files, commands and print.
#pragma once

#include "models/speech_transformer.hpp"
#include "tasks/audio/features.hpp"
#include "tasks/model_files/fields.hpp"

namespace rapt::tasks {

inline constexpr Name<WindowKind> windows[] = {{WindowKind::hann, "hann"},
                                               {WindowKind::hamming, "hamming"}};
inline constexpr Name<MelScale> mel_scales[] = {{MelScale::htk, "htk"},
                                                {MelScale::slaney, "slaney"}};

template <class Visitor>
void fields(Visitor& v, SpeechTransformerOptions& o) {
  v.number("features", o.features, "filters of the filterbank");
  v.number("vocab", o.vocab, nullptr);
  v.number("channels", o.channels, "channels of the convolutions");
  v.number("encoder_layers", o.encoder_layers, "encoder layers");
  v.number("decoder_layers", o.decoder_layers, "decoder layers");
  v.number("width", o.width, "width of the layers");
  v.number("heads", o.heads, "heads of attention");
  v.number("feed_forward", o.feed_forward, "inner width");
  v.number("max_frames", o.max_frames, nullptr);
  v.number("max_length", o.max_length, nullptr);
}

/// The number of filters is a field of the model.
template <class Visitor>
void fields(Visitor& v, FilterbankOptions& o) {
  v.number("rate", o.rate, nullptr);
  v.real("window", o.window, nullptr);
  v.real("shift", o.shift, nullptr);
  v.real("low", o.low, "Hz where the filterbank begins");
  v.real("high", o.high, "Hz where it ends; 0: half the rate");
  v.real("pre_emphasis", o.pre_emphasis, nullptr);
  v.choice("window_kind", o.kind, windows, "hann or hamming");
  v.choice("mel_scale", o.scale, mel_scales, "htk or slaney");
  v.real("level", o.level, nullptr);
  v.real("floor", o.floor, nullptr);
}

}  // namespace rapt::tasks
