// What the command line of the translate program says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../common/batches.hpp"

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
};

int train(const TrainOptions& options);

}  // namespace rapt::examples
