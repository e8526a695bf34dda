// What the programs that train a GruSeq2Seq share: batches, loss, decoding, and models on disk.
#pragma once

#include <rapt/models/decoding.hpp>
#include <string>

#include "text.hpp"

namespace rapt::examples {

/// Sentence pairs as token numbers, without begin and end marks.
struct PairSet {
  std::vector<std::vector<std::int32_t>> source, target;

  std::size_t size() const { return source.size(); }
  std::vector<PairLength> lengths() const;
};

/// A padded batch.
struct PairBatch {
  Tensor source;                   // [B, S]
  Tensor target_in;                // [B, T]: begin mark, then the target
  Tensor target_out;               // [B, T]: the target, then the end mark
  std::int64_t target_tokens = 0;  // with end marks, without padding
};
PairBatch make_batch(const PairSet& pairs, std::span<const std::int64_t> rows);
/// [B, S], padded at the end.
Tensor pad_rows(std::span<const std::vector<std::int32_t>> rows);

/// The mean cross-entropy per target token.
Var loss_of(const GruSeq2Seq& model, const PairBatch& batch, double label_smoothing);
/// The same over a whole set, without label smoothing, in natural logarithms.
double mean_loss(const GruSeq2Seq& model, const PairSet& pairs, std::int64_t batch_size);
/// Greedy translations of all sources, in their order; like lengths are decoded together.
std::vector<Decoded> decode_all(const GruSeq2Seq& model,
                                const std::vector<std::vector<std::int32_t>>& sources,
                                std::int64_t batch_size, const GreedyOptions& options);

/// A model, its options and its vocabularies in one folder: model.safetensors, source.vocab and
/// target.vocab, each written to a new file and renamed.
struct TranslationModel {
  Seq2SeqOptions options;
  Vocabulary source, target;
  GruSeq2Seq net;

  void save(const std::string& folder);
  /// Throws Error or TextError where a file is missing or no such model.
  static TranslationModel load(const std::string& folder);
};

}  // namespace rapt::examples
