// Score functions as data: recorded once, differentiated, run by the fused kernels, and replayed in
// plain operators.
#pragma once

#include <string>

#include "framework/core/recycled.hpp"
#include "ops/attention/score.hpp"
#include "ops/kernels/attention/score.hpp"

namespace rapt {

/// What a program reads beside its own steps and captured arrays. A reference to one of them is
/// -1 - its number.
enum class ScorePlace { value, batch, head, query, key, query_number, upstream };
inline constexpr int score_places = 7;

/// A program's text: 8-byte words that a node carries as attributes, so that equal functions have
/// equal plans.
///
///   steps, outputs, captured arrays,
///   for each step: operator, inputs, words, the inputs' references, the words,
///   for each output: its reference.
///
/// References from 0 on are steps. A step without operator reads a captured array: its inputs are
/// the array's number and a reference to an index for each axis (or `whole_axis` for one of size
/// 1); its word tells whether the function used the array whole.
using ScoreText = Recycled<int64_t>;
inline constexpr int64_t whole_axis = -100;

/// Walks over a text.
class ScoreReader {
 public:
  struct Step {
    const Op* op;
    std::span<const int64_t> inputs, words;

    bool is_access() const { return op == nullptr; }
  };

  explicit ScoreReader(std::span<const int64_t> text);

  int64_t steps() const { return text_[0]; }
  int64_t captured() const { return text_[2]; }
  Step step(int64_t i) const;
  std::span<const int64_t> outputs() const { return outputs_; }
  /// The text's own words, where more may follow.
  std::span<const int64_t> text() const { return text_; }

 private:
  std::span<const int64_t> text_, outputs_;
  Recycled<size_t> begins_;
};

struct RecordedScore {
  ScoreText text;
  Recycled<Var> captured;
};

/// Calls the function and takes down what it records. `q` and `all`, [B, Hq, Tq, Tk], say what the
/// scores are. Throws Error where the result does not broadcast to the scores, or is made by
/// operators that are not elementwise.
RecordedScore record_score(const ScoreFunction& function, const Var& q, const Shape& all,
                           SourceLocation where);

/// What a function computes, in plain operators, for scores [B, Hq, Tq, Tk].
Var replay_score(std::span<const int64_t> text, const Var& scores, std::span<const Var> captured);

struct ScoreDerivative {
  /// Outputs: the score; its derivative with respect to the value, times what flows to the score;
  /// and for each access of an array that needs a gradient the number of its step and the
  /// derivative with respect to it.
  ScoreText text;
  /// What it captures behind what the function does.
  Recycled<double> numbers;
};

/// The program that runs a function forward and backward. `needs(i)` says whether anybody wants the
/// gradient of captured array i.
ScoreDerivative differentiate_score(std::span<const int64_t> text, DType dtype,
                                    FunctionRef<bool(int64_t)> needs);

/// A program for the kernels, and all that it points to.
class CompiledScore {
 public:
  /// `derivative`: whether the text is a derivative's. `captured` are the arrays' views; a gradient
  /// wanted for array i goes to sums of its size.
  CompiledScore(std::span<const int64_t> text, std::span<const TensorView> captured,
                bool derivative, int64_t queries, int64_t keys);
  CompiledScore(const CompiledScore&) = delete;
  CompiledScore& operator=(const CompiledScore&) = delete;

  const kernels::ScoreProgram& program() const { return program_; }
  /// Where the sums of captured array i begin; -1: it gets none.
  int64_t sums_of(int64_t i) const { return sums_[static_cast<size_t>(i)]; }

 private:
  friend class ScoreCompiler;

  kernels::ScoreProgram program_{};
  Recycled<kernels::ScoreStep> steps_;
  Recycled<kernels::ScoreAccess> accesses_;
  Recycled<uint8_t> is_wide_;
  Recycled<int16_t> slots_;
  Recycled<int64_t> sums_;
};

}  // namespace rapt
