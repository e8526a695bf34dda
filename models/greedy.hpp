// From a trained model to sentences.
#pragma once

#include "framework/core/api.hpp"
#include "models/seq2seq.hpp"

namespace rapt RAPT_API {

struct GreedyOptions {
  int32_t begin = 2;         // the token before the first
  int32_t end = 3;           // the token that ends a sentence
  int64_t max_length = 100;  // the most tokens, without the end mark
  bool weights = false;      // whether the attention weights are kept
};

/// What decoding made of one row.
struct Decoded {
  std::vector<int32_t> tokens;              // without the end mark
  std::vector<std::vector<float>> weights;  // [tokens + end mark][S], where asked for
};

/// Takes the likeliest token at every step; a row stops at its end mark, the batch when all rows
/// have. source int32 [B, S], padded at the end.
std::vector<Decoded> greedy(const GruSeq2Seq& model, const Tensor& source,
                            const GreedyOptions& options = {});

}  // namespace rapt
