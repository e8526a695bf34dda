// Code shared by the fused attention operators: attributes, optional inputs, kernel operands, and
// the reference in plain operators.
#pragma once

#include <optional>

#include "framework/core/internal.hpp"
#include "framework/core/parallel.hpp"
#include "ops/attention/attention_options.hpp"
#include "ops/attention/score_program.hpp"
#include "ops/kernels/attention/attention.hpp"
#include "ops/support/row_split.hpp"

namespace rapt::internal {

/// Attributes of the fused attention operators. The optional inputs follow the required ones in the
/// order of the flags below. The dropout key comes before the arrays that the score function
/// captured. The text of the score program follows these words.
struct AttentionAttributes {
  double scale;  // 0: 1 / sqrt(D)
  double dropout;
  int64_t causal;
  int64_t window;  // -1: none
  int64_t bias;
  int64_t lengths;
  int64_t prefix;
  int64_t documents;
  int64_t keep;
  int64_t score;      // number of words of the score function's text; 0: none
  int64_t captured;   // number of inputs that the score function captured
  int64_t grad_bias;  // backward operator only: 1 if the gradient of the bias is wanted
  // Backward operator only. Number of words of the derivative's text, which follows the function's.
  // Then the number of constants of the derivative, which are inputs after the captured arrays.
  int64_t derivative;
  int64_t numbers;
};

constexpr int weights_inputs = 2;   // q, k
constexpr int forward_inputs = 3;   // q, k, v
constexpr int backward_inputs = 7;  // q, k, v, the output, its two normalisers and its gradient

/// Indices of the optional inputs; -1 for an absent one.
struct AttentionOptional {
  int bias = -1, lengths = -1, prefix = -1, documents = -1, keep = -1, key = -1, captured = -1;

  AttentionOptional(const AttentionAttributes& a, int required) {
    if (a.bias != 0) bias = required++;
    if (a.lengths != 0) lengths = required++;
    if (a.prefix != 0) prefix = required++;
    if (a.documents != 0) documents = required, required += 2;
    if (a.keep != 0) keep = required++;
    if (a.dropout > 0) key = required++;
    captured = required;
  }
};

inline constexpr size_t attention_words = sizeof(AttentionAttributes) / 8;

inline AttentionAttributes attention_attributes(std::span<const int64_t> words) {
  return attributes_of<AttentionAttributes>(words);
}
/// Returns the text of the score function.
inline std::span<const int64_t> score_text(std::span<const int64_t> words) {
  return words.subspan(attention_words, static_cast<size_t>(attention_attributes(words).score));
}
/// Returns the text of the score function's derivative.
inline std::span<const int64_t> derivative_text(std::span<const int64_t> words) {
  return words.subspan(attention_words + static_cast<size_t>(attention_attributes(words).score));
}

double attention_scale(const AttentionAttributes& a, int64_t depth);

/// Fails unless queries, keys, values and optional inputs fit each other.
void check_attention(ShapeContext& c, int required);

/// Kernel operands of one step. The score program lives as long as this object.
template <class T>
struct AttentionOperands {
  kernels::Attention<T> in;
  std::optional<CompiledScore> score;

  AttentionOperands(const ForwardContext& c, int required);
  AttentionOperands(const AttentionOperands&) = delete;
  AttentionOperands& operator=(const AttentionOperands&) = delete;
};
extern template struct AttentionOperands<float>;
extern template struct AttentionOperands<double>;

/// Returns the strides of an array [B, H, T, n].
template <class T>
kernels::Heads<T> heads(const TensorView& x) {
  return {x.as<T>(), x.strides[0], x.strides[1], x.strides[2]};
}
/// Returns the strides of an array [B, T, H, n]. Results have this layout, so that merging heads is
/// a view.
template <class T>
kernels::Heads<T> heads_inside(const TensorView& x) {
  return {x.as<T>(), x.strides[0], x.strides[2], x.strides[1]};
}
/// Returns the strides of an array that broadcasts to [B, H, Tq, Tk].
template <class T>
kernels::Pairs<T> pairs(const TensorView& x) {
  const auto stride = [&](int axis) {
    return x.shape[axis] == 1 ? 0 : x.strides[static_cast<size_t>(axis)];
  };
  return {x.as<T>(), stride(0), stride(1), stride(2), stride(3)};
}

template <class T>
const kernels::AttentionKernels<T>& attention_kernels() {
  return kernels::kernels_for<kernels::AttentionTable, T>();
}

inline void* scratch_of(const kernels::AttentionPlan& plan) {
  return worker_scratch(static_cast<int64_t>(plan.scratch_bytes));
}

template <class T>
void run_attention(const ForwardContext& c, const kernels::AttentionForward<T>& pass,
                   const kernels::AttentionPlan& plan) {
  c.parallel(plan.tasks, [&](int64_t task) {
    attention_kernels<T>().forward(pass, plan, scratch_of(plan), task);
  });
}

/// Returns the operations of products of all queries with all keys, where `depths` is the sum of
/// their inner dimensions.
double attention_flops(const ForwardContext& c, double depths);
inline double depth_of(const ForwardContext& c, int input) {
  return static_cast<double>(c.input(input).shape[3]);
}

/// Computes softmax(score(scale q k') + bias) in plain operators, [B, Hq, Tq, Tk].
Var plain_weights(const ReferenceContext& c, int required, const Var& q, const Var& k,
                  const Var& bias, std::span<const Var> captured);
/// Returns the inputs that the score function captured, for a reference.
Recycled<Var> captured_of(const ReferenceContext& c, int required);
/// Repeats each head: [B, Hk, T, n] becomes [B, Hk group, T, n].
Var repeat_heads(const Var& x, int64_t group);
int64_t group_of(const Var& q, const Var& k);

/// Records one of the attention operators with its operands and the inputs that the options add.
/// The words `more` are appended to the attributes.
Var record_attention(StaticOp op, std::initializer_list<const Arg*> operands,
                     const AttentionOptions& options, double dropout,
                     std::span<const int64_t> more = {});

}  // namespace rapt::internal
