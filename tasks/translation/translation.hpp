// Shared by the programs that train translators: batches, loss, decoding, and model files.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "models/decoding/beam_search.hpp"
#include "models/decoding/sampling.hpp"
#include "models/greedy.hpp"
#include "models/gru_steps.hpp"
#include "models/transformer.hpp"
#include "models/transformer_steps.hpp"
#include "tasks/data/batches.hpp"
#include "tasks/text/text.hpp"
#include "tasks/text/tokenizer.hpp"

namespace rapt::tasks {

/// Any of the models that translate. Copies share their parameters.
using Net = std::variant<GruSeq2Seq, Transformer>;

using NetOptions = std::variant<Seq2SeqOptions, TransformerOptions>;

Net make_net(const NetOptions& options, Key key);
/// Returns the parameters with their names.
std::vector<Parameter> parameters_of(Net& net);

/// Sentence pairs as token numbers, without begin and end marks.
struct PairSet {
  std::vector<std::vector<std::int32_t>> source, target;

  std::size_t size() const { return source.size(); }
  /// Returns the lengths of all pairs, targets with their end mark.
  std::vector<PairLength> lengths() const;
};

/// Encodes the pairs of a corpus that was read from the files `from` and `to`. Pairs with a
/// sentence of more than `max_tokens` tokens are skipped, counted, and removed from the corpus.
PairSet encode_pairs(Corpus& corpus, const Tokenizer& source, const Tokenizer& target,
                     std::int64_t max_tokens, const std::string& from, const std::string& to,
                     SkipReport& skipped);

/// A padded batch.
struct PairBatch {
  Tensor source;                   // [B, S]
  Tensor target_in;                // [B, T]: begin mark, then the target
  Tensor target_out;               // [B, T]: the target, then the end mark
  std::int64_t target_tokens = 0;  // with end marks, without padding
};
PairBatch make_batch(const PairSet& pairs, std::span<const std::int64_t> rows);
/// Returns [B, S], padded at the end.
Tensor pad_rows(std::span<const std::vector<std::int32_t>> rows);

struct LossOptions {
  double label_smoothing = 0;
  /// The weight of R-Drop; 0: not used.
  double r_drop = 0;
};
/// Returns the mean cross-entropy per target token. With R-Drop (Liang et al. 2021, equations 1 to
/// 4) each sentence is run twice with different dropout. The loss is then half of the paper's sum:
/// the mean cross-entropy of both runs, plus r_drop / 2 times the mean of the two divergences
/// between them.
Var loss_of(const Net& net, const PairBatch& batch, const LossOptions& options = {});
/// Returns the mean loss over a whole set, without label smoothing: the natural logarithm of the
/// perplexity.
double mean_loss(const Net& net, const PairSet& pairs, const BatchLimits& limits);
/// Prepares one model, or several as an ensemble, to translate a batch. The models must outlive the
/// returned object.
std::unique_ptr<StepModel> start(std::span<const Net> nets, const Tensor& source);
/// Translates all sources by beam search (a beam of 1 is greedy) and returns the results in order.
/// Sources of similar length share a batch. Prefixes, if any, are one per source.
std::vector<std::vector<Hypothesis>> search_all(
    std::span<const Net> nets, const std::vector<std::vector<std::int32_t>>& sources,
    std::int64_t batch_size, const BeamOptions& options);
/// Samples translations and returns them in the order of the sources. The result for a source
/// depends only on the key and its index, not on the batch size.
std::vector<std::vector<Hypothesis>> sample_all(
    std::span<const Net> nets, const std::vector<std::vector<std::int32_t>>& sources,
    std::int64_t batch_size, const SamplingOptions& options);
/// Returns greedy translations of all sources, in order. They have attention weights if these are
/// requested and the model is a GruSeq2Seq.
std::vector<Decoded> decode_all(const Net& net,
                                const std::vector<std::vector<std::int32_t>>& sources,
                                std::int64_t batch_size, const GreedyOptions& options);

/// A model, its options and its tokenizers, stored in one folder. The files are model.safetensors,
/// whose metadata describes the model, and those of the tokenizers. Each is written to a new file,
/// then renamed.
struct TranslationModel {
  NetOptions options;
  Tokenizer source, target;
  Net net;

  void save(const std::string& folder) { save(folder, "model.safetensors"); }
  /// Saves under another file name in the folder.
  void save(const std::string& folder, const std::string& file);
  /// Throws Error or TextError if a file is missing or holds no such model, or if the tokenizers
  /// are not those that the model was saved with.
  static TranslationModel load(const std::string& folder,
                               const std::string& file = "model.safetensors");
};

/// Returns what the model of a folder is and how it was trained, as text for people. Throws Error
/// as load() does; the tokenizers are not read.
std::string translation_info(const std::string& folder);

}  // namespace rapt::tasks
