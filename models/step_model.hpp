// A model that writes a token at a time, as beam search, sampling and ensembles see it.
//
// All of them are written once, for any StepModel. A model of one's own takes part by a class with
// one function, step(), and by an overload of start() in its namespace:
//
//   std::unique_ptr<StepModel> start(const MyModel& model, const Tensor& source);
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <rapt/framework/var.hpp>
#include <rapt/models/seq2seq.hpp>
#include <rapt/models/transformer.hpp>
#include <vector>

namespace rapt {

/// What a step goes on from: L sentences of the batch are left, with W rows each; row r = i W + j
/// is the j-th of sentence sentences[i].
struct StepInput {
  std::vector<int32_t> tokens;     // [L W]: the last token of each row
  std::vector<int32_t> parents;    // [L W]: the row of the step before that each continues
  std::vector<int32_t> sentences;  // [L]
  /// The values of the last step's StepOutput::states, with rows put in the order of `parents`;
  /// none at the first step.
  std::vector<Var> states;

  int64_t rows() const { return static_cast<int64_t>(tokens.size()); }
  int64_t width() const { return sentences.empty() ? 0 : rows() / count(); }
  int64_t count() const { return static_cast<int64_t>(sentences.size()); }
};

struct StepOutput {
  /// float32 [L W, V]: logits, or log-probabilities; a constant a row does not matter.
  Var scores;
  /// What the next step needs, each with a first axis of rows.
  std::vector<Var> states = {};
};

/// A model that has read its batch and goes on to write, a token a step.
class StepModel {
 public:
  virtual ~StepModel() = default;
  /// How many sentences are written.
  virtual int64_t sentences() const = 0;
  /// How many tokens sentence i's source has; 0 where there is none. For limits of the length.
  virtual int64_t source_length(int64_t) const { return 0; }
  /// How many steps there may be.
  virtual int64_t most_steps() const { return std::numeric_limits<int64_t>::max(); }
  /// Records the next step on the current tape. At the first step `parents` is empty: rows start.
  virtual StepOutput step(const StepInput& input) = 0;
};

/// The tables of a key/value cache that grows: which rows are whose ancestors, and room for the
/// keys and values of `layers` layers, [T, N, H, D] each. Room doubles, so that there are few
/// plans.
class GrowingCache {
 public:
  GrowingCache(int64_t layers, int64_t heads, int64_t depth);

  /// Makes room for one more step of such rows. `parents` is empty at the first.
  void advance(int64_t rows, const std::vector<int32_t>& parents);
  /// int32 [R, T], int32 [1], as Vars of the current tape.
  CachePlace place() const;
  const KeyValueCache& operator[](size_t layer) const { return layers_[layer]; }
  int64_t steps() const { return steps_; }

 private:
  void grow(int64_t steps, int64_t rows);

  int64_t heads_, depth_;
  int64_t steps_ = 0;  // so far
  int64_t most_steps_ = 0, most_rows_ = 0;
  std::vector<KeyValueCache> layers_;
  Tensor ancestors_;  // int32 [R, T]
};

/// Encodes a batch, source int32 [B, S] padded at the end, and gets ready to write. The model has
/// to outlive what is returned, and must not change meanwhile.
std::unique_ptr<StepModel> start(const Transformer& model, const Tensor& source);
std::unique_ptr<StepModel> start(const GruSeq2Seq& model, const Tensor& source);
/// The same for a decoder whose memory, of as many sentences, `encode` records on the current tape.
std::unique_ptr<StepModel> start(const TransformerDecoder& model, int64_t sentences,
                                 FunctionRef<TransformerDecoder::Encoded()> encode);
std::unique_ptr<StepModel> start(const AttentiveGru& model, int64_t sentences,
                                 FunctionRef<AttentiveGru::Encoded()> encode);
/// Gets ready to write a number of texts, each from its first token on.
std::unique_ptr<StepModel> start(const Gpt& model, int64_t texts);

/// The number of sentences of a source. Throws Error where it is not int32 [B, S].
int64_t checked_sentences(const Tensor& source);

/// How the members of an ensemble agree.
enum class Average {
  probabilities,      // the logarithm of the mean of their probabilities
  log_probabilities,  // the mean of their logarithms: the geometric mean, not normalised
};

/// Several models with one vocabulary, writing together. `weights` says how much each counts, and
/// they add up to 1; none: all the same. Throws Error for no members, where they have different
/// numbers of sentences, and for weights that are not as many, not positive, or add up to another
/// sum.
std::unique_ptr<StepModel> ensemble(std::vector<std::unique_ptr<StepModel>> members,
                                    Average average = Average::probabilities,
                                    std::vector<double> weights = {});

/// Runs a StepModel: keeps its states from step to step.
class Stepper {
 public:
  explicit Stepper(StepModel& model) : model_(model) {}

  /// One step. `choose` records on the tape what is wanted of the scores and returns it; the values
  /// come back. Throws Error where the scores are no [rows, V].
  std::vector<Tensor> step(StepInput input,
                           const std::function<std::vector<Var>(const Var& scores)>& choose);

 private:
  StepModel& model_;
  std::vector<Tensor> states_;
};

}  // namespace rapt
