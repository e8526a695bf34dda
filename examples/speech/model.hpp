// A speech recogniser with all that it needs to be used: features, tokens, search, and its files.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "examples/common/audio/features.hpp"
#include "examples/common/text/tokenizer.hpp"
#include "examples/common/training/training.hpp"
#include "models/decoding/beam_search.hpp"
#include "models/speech_transformer.hpp"
#include "models/transformer_steps.hpp"

namespace rapt::examples {

/// Model, features and tokens in one folder: model.safetensors, whose metadata says what they are,
/// and the tokens' file.
struct SpeechModel {
  SpeechTransformerOptions options;
  FilterbankOptions bank;
  Tokenizer tokens;
  SpeechTransformer net;

  void save(const std::string& folder, const std::string& file);
  /// Throws Error, TextError, naming the file, where something is missing or odd.
  static SpeechModel load(const std::string& folder, const std::string& file = "model.safetensors");
};

/// Utterances of different lengths, filled up with zeros, and what was said. Tensors: "features"
/// float32 [B, T, F], "frames" int32 [B], "target_in" and "target_out" int32 [B, U + 1] with begin
/// and end marks, and "labels" int32 [B], how many tokens each has without these.
Batch make_speech_batch(std::span<const Features> features,
                        std::span<const std::vector<std::int32_t>> tokens);

/// ctc_weight times CTC's loss and the rest of the decoder's cross-entropy, each a mean over tokens
/// (Watanabe et al. 2017, equation 9).
Var joint_loss(const SpeechTransformer& net, const Batch& batch, double ctc_weight,
               double label_smoothing);

struct SearchOptions {
  std::int64_t beam = 5;
  double ctc_weight = 0.3;
  double length_penalty = 0;  // scores are divided by the length to this power
};

/// What is recognised in each of the features, in their order; those of like lengths are searched
/// together, at most `batch_frames` frames, padding counted.
std::vector<std::string> recognise(const SpeechModel& model, std::span<const Features> features,
                                   const SearchOptions& options, std::int64_t batch_frames);

}  // namespace rapt::examples
