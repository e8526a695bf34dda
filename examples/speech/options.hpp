// The command-line options of the speech program.
#pragma once

#include <cstdint>
#include <string>

#include "tasks/speech/sound_changes.hpp"
#include "tasks/speech/speech_model.hpp"
#include "tasks/training/kept.hpp"
#include "tasks/training/nonfinite.hpp"
#include "tasks/training/training.hpp"

namespace rapt::examples {
using namespace tasks;

struct SpeechOptions {
  std::string train, dev, audio = ".";  // two lists, and the folder of their recordings
  bool skip_bad = false, mix_channels = false;
  int resample = 0;  // samples per second; 0: recordings have to have one rate
  double max_seconds = 30;
  std::int64_t batch_frames = 8000;

  std::string tokens = "words";
  bool lower = false;
  std::int32_t vocab = 4000;
  std::int64_t min_count = 1;

  FilterbankOptions bank;
  SpeechTransformerOptions net{.encoder_layers = 4};
  double dropout = 0.1, label_smoothing = 0.1;
  double ctc_weight = 0.3;  // of the loss

  AugmentOptions augment;
  TrainingOptions training;
};

struct SpeechDecodeOptions {
  std::string model, list, audio = ".";
  bool skip_bad = false, mix_channels = false, resample = false;
  SearchOptions search;
  std::int64_t batch_frames = 16000;
  int threads = 0;
};

struct SpeechScoreOptions {
  std::string reference;
};

// The subcommands. Each returns the exit code of the program and throws if its input is invalid.
int train(const SpeechOptions& options);
int decode(const SpeechDecodeOptions& options);
int score(const SpeechScoreOptions& options);
int average(const AverageOptions& options);
/// Reruns a non-finite batch that a training run has saved.
int replay(const ReplayOptions& options);

}  // namespace rapt::examples
