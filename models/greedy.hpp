// Greedy decoding of the recurrent translator.
#pragma once

#include "framework/core/api.hpp"
#include "models/seq2seq.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct GreedyOptions {
  int32_t begin = 2;         ///< token that is fed in before the first output
  int32_t end = 3;           ///< token that ends a sentence
  int64_t max_length = 100;  ///< maximum number of tokens, without the end token
  bool weights = false;      ///< true: keep the attention weights
};

/// The output of greedy() for one row of the batch.
struct Decoded {
  std::vector<int32_t> tokens;              ///< without the end token
  std::vector<std::vector<float>> weights;  ///< [tokens + end token][S]; empty unless requested
};

/// Decodes a batch, choosing the most likely token at every step. A row stops at its end token;
/// decoding stops when all rows have ended. `source` is int32 [B, S], padded at the end.
std::vector<Decoded> greedy(const GruSeq2Seq& model, const Tensor& source,
                            const GreedyOptions& options = {});

}  // namespace v0
}  // namespace rapt
