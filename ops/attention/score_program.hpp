// Score functions as data. A function is recorded once. It can then be differentiated, run by the
// fused kernels, and replayed in plain operators.
#pragma once

#include <string>

#include "framework/core/internal.hpp"
#include "framework/core/recycled.hpp"
#include "ops/attention/score.hpp"
#include "ops/kernels/attention/score.hpp"

namespace rapt::internal {

/// Values that a program reads besides its own steps and captured arrays. The reference to one of
/// them is -1 minus its number.
enum class ScorePlace { value, batch, head, query, key, query_number, upstream };
inline constexpr int score_places = 7;

/// Text of a program: 8-byte words that a node carries as attributes, so that equal functions have
/// equal plans. The layout is:
///
///   steps, outputs, captured arrays,
///   for each step: operator, inputs, words, the inputs' references, the words,
///   for each output: its reference.
///
/// References from 0 on are steps. A step without an operator reads a captured array. Its inputs
/// are the array's number and a reference to one index per axis (or `whole_axis` for an axis of
/// size 1). Its word is 1 if the function used the array whole.
using ScoreText = Recycled<int64_t>;
inline constexpr int64_t whole_axis = -100;

/// Reader of a program's text.
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
  /// Returns the words of this program. More words may follow them in the attributes.
  std::span<const int64_t> text() const { return text_; }

 private:
  std::span<const int64_t> text_, outputs_;
  Recycled<size_t> begins_;
};

struct RecordedScore {
  ScoreText text;
  Recycled<Var> captured;
};

/// Calls the function and converts what it records to a program. The scores have the type of `q`
/// and the shape `all`, [B, Hq, Tq, Tk]. Throws Error if the result does not broadcast to the
/// scores, or if the function uses operators that are not elementwise.
RecordedScore record_score(const ScoreFunction& function, const Var& q, const Shape& all,
                           SourceLocation where);

/// Computes the function in plain operators for scores [B, Hq, Tq, Tk].
Var replay_score(std::span<const int64_t> text, const Var& scores, std::span<const Var> captured);

struct ScoreDerivative {
  /// Outputs: the score, then the gradient with respect to the value, multiplied by the upstream
  /// gradient. Then two entries per access of an array that needs a gradient: its step and the
  /// gradient with respect to it.
  ScoreText text;
  /// Constants that follow the arrays captured by the function.
  Recycled<double> numbers;
};

/// Returns the program that computes a function and its derivative. `needs(i)` is true if the
/// gradient of captured array i is wanted.
ScoreDerivative differentiate_score(std::span<const int64_t> text, DType dtype,
                                    FunctionRef<bool(int64_t)> needs);

/// Program for the kernels, with ownership of all arrays that it points to.
class CompiledScore {
 public:
  /// Compiles the text. `derivative` is true for the text of a derivative. `captured` are views of
  /// the captured arrays. The gradient of array i, if wanted, is collected in sums of its size.
  CompiledScore(std::span<const int64_t> text, std::span<const TensorView> captured,
                bool derivative, int64_t queries, int64_t keys);
  CompiledScore(const CompiledScore&) = delete;
  CompiledScore& operator=(const CompiledScore&) = delete;

  const kernels::ScoreProgram& program() const { return program_; }
  /// Returns the offset of the sums of captured array i, or -1 if it gets no gradient.
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

}  // namespace rapt::internal
