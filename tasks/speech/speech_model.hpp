// A complete speech recogniser: features, tokens, network, search, and files.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/decoding/beam_search.hpp"
#include "models/speech_transformer.hpp"
#include "models/transformer_steps.hpp"
#include "tasks/audio/features.hpp"
#include "tasks/text/tokenizer.hpp"
#include "tasks/training/task.hpp"

namespace rapt::tasks {

/// Model, features and tokens, stored in one folder. The files are model.safetensors, whose
/// metadata describes the model, and that of the tokens.
struct SpeechModel {
  SpeechTransformerOptions options;
  FilterbankOptions bank;
  Tokenizer tokens;
  SpeechTransformer net;

  void save(const std::string& folder, const std::string& file);
  /// Throws Error or TextError with the file's name if something is missing or malformed.
  static SpeechModel load(const std::string& folder, const std::string& file = "model.safetensors");
};

/// Returns what the model of a folder is and how it was trained, as text for people. Throws Error
/// as load() does; the tokens are not read.
std::string speech_info(const std::string& folder);

/// Makes a zero-padded batch of utterances and their tokens, with these tensors: "features" float32
/// [B, T, F], "frames" int32 [B], "target_in" and "target_out" int32 [B, U + 1], "labels" int32
/// [B]. The targets have begin and end marks. The labels are the numbers of tokens without marks.
Batch make_speech_batch(std::span<const Features> features,
                        std::span<const std::vector<std::int32_t>> tokens);

/// Returns ctc_weight times the CTC loss plus (1 - ctc_weight) times the decoder's cross-entropy.
/// Each is a mean over tokens (Watanabe et al. 2017, equation 9).
Var joint_loss(const SpeechTransformer& net, const Batch& batch, double ctc_weight,
               double label_smoothing);

struct SearchOptions {
  std::int64_t beam = 5;
  double ctc_weight = 0.3;
  double length_penalty = 0;  // scores are divided by the length to this power
  std::int64_t best = 1;      // hypotheses per utterance, at most `beam`
};

/// Returns the best hypotheses of each utterance, in order. There may be none if an utterance is
/// too short for any text. Utterances of similar length share a batch of at most `batch_frames`
/// frames, with padding.
std::vector<std::vector<Hypothesis>> search_utterances(const SpeechModel& model,
                                                       std::span<const Features> features,
                                                       const SearchOptions& options,
                                                       std::int64_t batch_frames);
/// Returns the texts of the best hypotheses; empty where there is none.
std::vector<std::string> recognise(const SpeechModel& model, std::span<const Features> features,
                                   const SearchOptions& options, std::int64_t batch_frames);

}  // namespace rapt::tasks
