// The command-line options of the translate program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/data/batches.hpp"
#include "tasks/model_files/names.hpp"
#include "tasks/training/kept.hpp"
#include "tasks/training/nonfinite.hpp"
#include "tasks/training/training.hpp"
#include "tasks/translation/translation.hpp"
#include "tasks/translation/translator.hpp"

namespace rapt::examples {
using namespace tasks;

struct TranslateOptions {
  std::string source, target, dev_source, dev_target;
  BatchLimits batch;

  std::string tokens = "words", subwords = "bpe";
  std::string normalization = "nmt_nfkc";
  std::int32_t segmentations = 1;
  double segmentation_alpha = 0.2;
  bool joint = false, lower = false;
  std::int32_t vocab = 4000;
  std::string source_vocab, target_vocab;  // files; empty: made of the data
  std::int64_t min_count = 1;
  std::int64_t max_tokens = 80;
  std::string dev_tokenize = "auto";  // of the dev set's BLEU

  std::string arch = "gru";
  Seq2SeqOptions gru{.embed = 256, .hidden = 512, .readout = 512};
  TransformerOptions transformer{.width = 256,
                                 .heads = 8,
                                 .encoder_layers = 3,
                                 .decoder_layers = 0,  // as many
                                 .feed_forward = 512};
  std::string tie = "output";

  double dropout = 0.3;
  LossOptions loss{.label_smoothing = 0.1};
  TrainingOptions training;
};

/// Names of the rules that end a search.
inline constexpr Name<Stop> stops[] = {
    {Stop::enough, "enough"}, {Stop::likely, "likely"}, {Stop::exact, "exact"}};

/// Names of what becomes of unknown tokens.
inline constexpr Name<Unknown> unknowns[] = {
    {Unknown::never, "never"}, {Unknown::keep, "keep"}, {Unknown::replace, "replace"}};

struct DecodeOptions {
  std::vector<std::string> models;  // folders; several: an ensemble
  std::string input = "-", output = "-";
  std::string prefixes;   // a file with the beginning of each translation
  std::string alignment;  // a file for the alignments
  std::string unknown = "never";
  std::int64_t beam = 5;
  double length_penalty = 1;
  std::string stop = "likely";
  std::int64_t n_best = 0;  // 0: the best alone, as plain text
  bool sample = false;      // instead of searching
  double temperature = 1;
  std::int64_t top_k = 0;
  double top_p = 1;
  std::uint64_t seed = 1;
  std::int64_t batch = 64;
  std::int64_t max_length = 0, max_tokens = 0;  // 0: as the model has it
  int threads = 0;
};

struct ScoreCommandOptions {
  std::vector<std::string> references, metrics = {"bleu"};
  std::vector<std::string> inputs = {"-"};  // translations; several are compared with the first
  std::string tokenize = "13a";
  bool lower = false, sentences = false, json = false;
  std::int64_t bootstrap = 0;  // draws
  std::uint64_t seed = 12345;  // of the draws
  std::string model, source;   // for perplexity
  std::int64_t batch = 64;
  int threads = 0;
};

// The subcommands. Each returns the exit code of the program and throws if its input is invalid.
int train(const TranslateOptions& options);
int decode(const DecodeOptions& options);
int score(const ScoreCommandOptions& options);
int average(const AverageOptions& options);
/// Reruns a non-finite batch that a training run has saved.
int replay(const ReplayOptions& options);

}  // namespace rapt::examples
