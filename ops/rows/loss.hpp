// Losses.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// What becomes of the losses of single positions: their mean, their sum, or they stay.
enum class Reduction { mean, sum, none };

struct CrossEntropyOptions {
  /// Positions with this label count for nothing.
  int32_t ignore = -100;
  /// What the target gives to all classes evenly, in [0, 1] (Szegedy et al. 2016).
  double label_smoothing = 0;
  /// A factor for each class [V], or none. No gradient passes to it.
  Var weight = {};
  /// The mean divides by the sum of the weights of the labels that are not ignored; as in PyTorch
  /// it is NaN where there are none.
  Reduction reduction = Reduction::mean;
};

/// -log(softmax(logits)[label]) of logits [.., V] and int32 labels [..], as PyTorch's cross_entropy
/// defines its options. One pass over the logits; probabilities are never stored.
///
/// Throws Error where shapes or types differ, for a smoothing outside [0, 1], and, when it is
/// computed, for a label that is neither a class nor `ignore`.
Var cross_entropy(const Arg& logits, const Arg& labels, const CrossEntropyOptions& options = {});

/// (prediction - target)^2. Throws Error where shapes or types differ.
Var mse_loss(const Arg& prediction, const Arg& target, Reduction reduction = Reduction::mean);

/// -(target log(s) + (1 - target) log(1 - s)) with s = sigmoid(logits), for targets in [0, 1].
/// Small losses of large logits keep their digits, and so do gradients. Throws Error where shapes
/// or types differ.
Var binary_cross_entropy_with_logits(const Arg& logits, const Arg& target,
                                     Reduction reduction = Reduction::mean);

}  // namespace RAPT_API
