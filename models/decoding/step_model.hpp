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
#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/var.hpp"

namespace rapt RAPT_API {

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

/// int32 [n], recorded on the current tape.
Var int_leaf(const std::vector<int32_t>& values);

/// The number of sentences of a source. Throws Error where it is not int32 [B, S].
int64_t checked_sentences(const Tensor& source);

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
