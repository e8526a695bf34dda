// What the programs that train translators share: batches, loss, decoding, and models on disk.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "examples/common/data/batches.hpp"
#include "examples/common/data/metadata.hpp"
#include "examples/common/text/text.hpp"
#include "examples/common/text/tokenizer.hpp"
#include "models/decoding/beam_search.hpp"
#include "models/decoding/sampling.hpp"
#include "models/greedy.hpp"
#include "models/gru_steps.hpp"
#include "models/transformer.hpp"
#include "models/transformer_steps.hpp"

namespace rapt::examples {

/// Any of the models that translate. Copies share their parameters.
using Net = std::variant<GruSeq2Seq, Transformer>;

/// What the kinds of positions are called, in a command and in a model's file.
inline constexpr Name<PositionKind> position_kinds[] = {
    {PositionKind::none, "none"},
    {PositionKind::sinusoidal, "sinusoidal"},
    {PositionKind::learned, "learned"},
    {PositionKind::rotary, "rotary"},
    {PositionKind::alibi, "alibi"},
    {PositionKind::learned_alibi, "learned-alibi"},
    {PositionKind::t5, "t5"}};

using NetOptions = std::variant<Seq2SeqOptions, TransformerOptions>;

Net make_net(const NetOptions& options, Key key);
/// The parameters, named.
std::vector<Parameter> parameters_of(Net& net);

/// Sentence pairs as token numbers, without begin and end marks.
struct PairSet {
  std::vector<std::vector<std::int32_t>> source, target;

  std::size_t size() const { return source.size(); }
  /// With the target's end mark.
  std::vector<PairLength> lengths() const;
};

/// The pairs of a corpus, read from the files `from` and `to`, as numbers. Pairs with a sentence of
/// more than `max_tokens` tokens are skipped, counted, and taken out of the corpus.
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
/// [B, S], padded at the end.
Tensor pad_rows(std::span<const std::vector<std::int32_t>> rows);

struct LossOptions {
  double label_smoothing = 0;
  /// The weight of R-Drop; 0: without it.
  double r_drop = 0;
};
/// The mean cross-entropy per target token. With R-Drop (Liang et al. 2021, equations 1 to 4) each
/// sentence is run twice, with dropout of its own each time; half of what that paper adds up: the
/// mean cross-entropy of both, and r_drop / 2 times the mean of the two divergences between them.
Var loss_of(const Net& net, const PairBatch& batch, const LossOptions& options = {});
/// The same over a whole set, without label smoothing, in natural logarithms: the logarithm of the
/// perplexity.
double mean_loss(const Net& net, const PairSet& pairs, const BatchLimits& limits);
/// Gets one model ready to translate a batch, or several as an ensemble. They have to outlive what
/// is returned.
std::unique_ptr<StepModel> start(std::span<const Net> nets, const Tensor& source);
/// Translations of all sources by beam search (with a beam of 1: greedy), in their order; like
/// lengths are searched together. Prefixes are one a source, if any.
std::vector<std::vector<Hypothesis>> search_all(
    std::span<const Net> nets, const std::vector<std::vector<std::int32_t>>& sources,
    std::int64_t batch_size, const BeamOptions& options);
/// Translations drawn at random, in the order of the sources. What is drawn for a source depends on
/// the key and its place alone, not on the size of the batches.
std::vector<std::vector<Hypothesis>> sample_all(
    std::span<const Net> nets, const std::vector<std::vector<std::int32_t>>& sources,
    std::int64_t batch_size, const SamplingOptions& options);
/// Greedy translations of all sources, in their order; with attention weights where they are asked
/// for and the model is a GruSeq2Seq.
std::vector<Decoded> decode_all(const Net& net,
                                const std::vector<std::vector<std::int32_t>>& sources,
                                std::int64_t batch_size, const GreedyOptions& options);

/// A model, its options and its tokenizers in one folder: model.safetensors, whose metadata says
/// what it is, and the tokenizers' files, each written to a new file and renamed.
struct TranslationModel {
  NetOptions options;
  Tokenizer source, target;
  Net net;

  void save(const std::string& folder) { save(folder, "model.safetensors"); }
  /// Under another name in the folder.
  void save(const std::string& folder, const std::string& file);
  /// Throws Error or TextError where a file is missing or no such model.
  static TranslationModel load(const std::string& folder,
                               const std::string& file = "model.safetensors");
};

}  // namespace rapt::examples
