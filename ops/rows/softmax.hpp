// Softmax and its logarithm, with masks.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

struct SoftmaxOptions {
  /// The axis along which the results add up to 1; negative counts from the end.
  int axis = -1;
  /// Boolean, broadcast to x: true keeps an element, false takes it out. Empty: all are kept.
  Var mask = {};
};

/// exp(x) / sum(exp(x)) along an axis. What the mask takes out is 0, and so is all of a row that
/// keeps nothing (or is all -inf), value and gradient.
///
/// Throws Error for an axis that is not there, and for a mask that is not boolean or does not
/// broadcast to x's shape.
Var softmax(const Arg& x, const SoftmaxOptions& options = {});

/// log(softmax(x)), computed without the quotient. What the mask takes out is -inf and gets no
/// gradient; a row that keeps nothing is 0. A row that keeps nothing but -inf is -inf and gets no
/// gradient.
Var log_softmax(const Arg& x, const SoftmaxOptions& options = {});

/// The scores where the boolean mask holds, -inf elsewhere: softmax gives those weight 0.
Var masked(const Arg& scores, const Arg& mask);

}  // namespace RAPT_API
