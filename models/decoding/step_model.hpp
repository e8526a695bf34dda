// The interface of models that decode one token per step.
//
// Beam search, sampling and ensembles work with any StepModel. To use your own model, derive a
// class that implements sentences() and step(). Then overload start() in the namespace of your
// model:
//
//   std::unique_ptr<StepModel> start(const MyModel& model, const Tensor& source);
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/var.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// The input of a step. L sentences of the batch are left, with W rows each. Row r = i W + j is the
/// j-th row of sentence sentences[i].
struct StepInput {
  std::vector<int32_t> tokens;     ///< [L W]: the last token of each row
  std::vector<int32_t> parents;    ///< [L W]: the row of the previous step that each row continues
  std::vector<int32_t> sentences;  ///< [L]: indices of the sentences that are left
  /// The values of the previous step's StepOutput::states, with rows reordered by `parents`. Empty
  /// at the first step.
  std::vector<Var> states;

  int64_t rows() const { return static_cast<int64_t>(tokens.size()); }
  int64_t width() const { return sentences.empty() ? 0 : rows() / count(); }
  int64_t count() const { return static_cast<int64_t>(sentences.size()); }
};

struct StepOutput {
  /// float32 [L W, V]: logits or log-probabilities. A constant added to a row does not matter.
  Var scores;
  /// States for the next step, each with rows as its first axis.
  std::vector<Var> states = {};
};

/// A model that has read its batch and decodes it, one token per step.
class StepModel {
 public:
  virtual ~StepModel() = default;
  /// Returns the number of sentences to decode.
  virtual int64_t sentences() const = 0;
  /// Returns the number of source tokens of sentence i; 0 if there is no source. Length limits use
  /// it.
  virtual int64_t source_length(int64_t) const { return 0; }
  /// Returns the maximum number of steps.
  virtual int64_t most_steps() const { return std::numeric_limits<int64_t>::max(); }
  /// Records the next step on the current tape. At the first step `parents` is empty.
  virtual StepOutput step(const StepInput& input) = 0;
};

/// Records the values as int32 [n] on the current tape.
Var int_leaf(const std::vector<int32_t>& values);

/// Returns the number of sentences of a source. Throws Error if it is not int32 [B, S].
int64_t checked_sentences(const Tensor& source);

/// Throws Error unless an encoder's `output` [B, ..] has one row for each of `sentences`.
void check_encoded(const Var& output, int64_t sentences);

/// Runs a StepModel and keeps its states from step to step.
class Stepper {
 public:
  explicit Stepper(StepModel& model) : model_(model) {}

  /// Runs one step. `choose` records the wanted functions of the scores on the tape and returns
  /// them; step() returns their values. Throws Error if the scores are not [rows, V].
  std::vector<Tensor> step(StepInput input,
                           const std::function<std::vector<Var>(const Var& scores)>& choose);

 private:
  StepModel& model_;
  std::vector<Tensor> states_;
};

}  // namespace v0
}  // namespace rapt
