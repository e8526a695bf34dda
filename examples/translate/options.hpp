// What the command line of the translate program says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../common/batches.hpp"
#include "../common/run_state.hpp"

namespace rapt::examples {

struct TrainOptions {
  std::string source, target, dev_source, dev_target, model;
  std::int64_t epochs = 10;
  BatchLimits batch;

  std::string tokens = "words", subwords = "bpe";
  bool joint = false, lower = false;
  std::int32_t vocab = 4000;
  std::int64_t min_count = 1;
  std::int64_t max_tokens = 80;

  std::string arch = "gru";
  std::int64_t embed = 256, hidden = 512, readout = 512;  // gru
  std::string attention = "additive";
  std::int64_t layers = 3, decoder_layers = 0;  // transformer; 0: as many as layers
  std::int64_t width = 256, heads = 8, feed_forward = 512;
  bool norm_first = false;
  std::string tie = "output";

  double dropout = 0.3;
  double label_smoothing = 0.1;
  double lr = 1e-3;
  std::string schedule = "cosine";
  std::int64_t warmup = 500;
  double beta2 = 0.999;
  double weight_decay = 0;
  double clip_norm = 1;

  std::string best_by = "loss";
  std::int64_t patience = 0;  // 0: never stop early
  std::int64_t keep = 0;      // checkpoints of the last epochs
  int threads = 0;
  std::uint64_t seed = 1;

  Resume resume = Resume::automatic;
  double checkpoint_minutes = 10;
  std::int64_t skip_nonfinite = 2;  // batches in a row
  std::int64_t log_every = 50;      // steps
  std::string report;               // a folder; empty: none
  /// All of the above that the result depends on, as given: what a resumed run has to agree in.
  RunOptions chosen;
};

struct DecodeOptions {
  std::vector<std::string> models;  // folders; several: an ensemble
  std::string prefixes;             // a file: what each translation has to begin with
  std::int64_t beam = 5;
  double length_penalty = 1;
  std::int64_t n_best = 0;  // 0: the best alone, as plain text
  bool sample = false;      // instead of searching
  double temperature = 1;
  std::int64_t top_k = 0;
  double top_p = 1;
  std::uint64_t seed = 1;
  std::int64_t batch = 64;
  std::int64_t max_length = 200;
  std::size_t max_tokens = 200;
  int threads = 0;
};

struct ScoreCommandOptions {
  std::vector<std::string> references, metrics = {"bleu"};
  std::string tokenize = "13a";
  bool lower = false;
  std::string model, source;  // of perplexity
  std::int64_t batch = 64;
  int threads = 0;
};

struct AverageOptions {
  std::string model, output;
  std::vector<std::string> checkpoints;  // file names in the folder of the model
  std::int64_t last = 5;                 // where none are named
};

struct ReplayOptions {
  std::string batch, model;
  int threads = 0;
};

// The subcommands. Each returns the program's exit code and throws where its input is bad.
int train(const TrainOptions& options);
int decode(const DecodeOptions& options);
int score(const ScoreCommandOptions& options);
int average(const AverageOptions& options);

/// The lines of standard input. One that is no UTF-8 is named and keeps its place, as an empty
/// line.
std::vector<std::string> read_standard_input();

/// Runs a batch again that a training run has put aside as not finite, with every result checked,
/// and says where the first NaN or infinity came from.
int replay(const std::string& batch, const std::string& model, int threads);

}  // namespace rapt::examples
