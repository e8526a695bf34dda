// Loss functions.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Reduction of the losses of single positions: their mean, their sum, or none.
enum class Reduction { mean, sum, none };

struct CrossEntropyOptions {
  /// Label of positions that are ignored.
  int32_t ignore = -100;
  /// Part of the target that is spread evenly over all classes, in [0, 1] (Szegedy et al. 2016).
  double label_smoothing = 0;
  /// Factor per class, [V], or empty. It gets no gradient.
  Var weight = {};
  /// Reduction of the losses. The mean divides by the sum of the weights of the labels that are not
  /// ignored. As in PyTorch it is NaN if there are none.
  Reduction reduction = Reduction::mean;
};

/// Returns -log(softmax(logits)[label]) of logits [.., V] and int32 labels [..]. The options have
/// the meaning of PyTorch's cross_entropy. The operator makes one pass over the logits and never
/// stores probabilities.
///
/// Throws Error if shapes or types differ, or if the smoothing is outside [0, 1]. Throws Error at
/// run time if a label is neither a class nor `ignore`.
Var cross_entropy(const Arg& logits, const Arg& labels, const CrossEntropyOptions& options = {});

/// Returns (prediction - target)^2. Throws Error if shapes or types differ.
Var mse_loss(const Arg& prediction, const Arg& target, Reduction reduction = Reduction::mean);

/// Returns -(target log(s) + (1 - target) log(1 - s)) with s = sigmoid(logits), for targets in
/// [0, 1]. Losses and gradients stay accurate for large logits. Throws Error if shapes or types
/// differ.
Var binary_cross_entropy_with_logits(const Arg& logits, const Arg& target,
                                     Reduction reduction = Reduction::mean);

}  // namespace v0
}  // namespace rapt
