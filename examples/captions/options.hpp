// The command-line options of the captions program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/captions/caption_model.hpp"
#include "tasks/images/image_changes.hpp"
#include "tasks/training/kept.hpp"
#include "tasks/training/nonfinite.hpp"
#include "tasks/training/training.hpp"

namespace rapt::examples {
using namespace tasks;

struct CaptionOptions {
  std::string train, dev, images, dev_images;  // dev_images empty: same as images
  std::string size = "96", raw_size;           // HEIGHTxWIDTH, or one number; raw_size may be empty
  bool skip_bad = false;
  std::int64_t box_size = 28;

  CaptionWords how;
  std::int32_t vocab = 10000;
  std::int64_t min_count = 1;
  std::int64_t max_words = 30;

  std::vector<std::int64_t> channels = {32, 64, 128}, blocks = {0, 1, 1};
  std::string arch = "gru";
  GruCaptionerOptions gru{.embed = 256, .hidden = 256, .readout = 256};
  TransformerDecoderOptions decoder{.width = 256, .heads = 8, .layers = 2, .feed_forward = 512};

  std::int64_t batch = 32;    // pictures per step
  std::int64_t captions = 0;  // per picture and step; 0: all
  Augmentation augmentation;
  std::vector<std::string> tint_words;
  double dropout = 0.3, grid_dropout = 0.1, word_dropout = 0;
  double label_smoothing = 0.1, words_loss = 0, guide = 0;
  TrainingOptions training;
};

struct DecodeCaptionOptions {
  std::vector<std::string> models;  // folders; several: an ensemble
  std::string images, raw_size, list;
  bool skip_bad = false;
  std::int64_t beam = 5;
  double length_penalty = 1;
  std::int64_t max_length = 40;
  std::string attention;        // an output file
  bool shuffle_images = false;  // pairs each name with another picture
  std::uint64_t seed = 1;
  std::int64_t batch = 32;
  int threads = 0;
};

struct ScoreCaptionOptions {
  std::string reference, attention;
  bool lower = false, strip_punctuation = false, skip_bad = false;
  std::int64_t box_size = 28;
};

// The subcommands. Each returns the exit code of the program and throws if its input is invalid.
int train(const CaptionOptions& options);
int decode(const DecodeCaptionOptions& options);
int score(const ScoreCaptionOptions& options);
int average(const AverageOptions& options);
/// Reruns a non-finite batch that a training run has saved.
int replay(const ReplayOptions& options);

}  // namespace rapt::examples
