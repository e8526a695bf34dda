// Softmax and log-softmax, with masks.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct SoftmaxOptions {
  /// Axis along which the results add up to 1. A negative axis counts from the end.
  int axis = -1;
  /// Boolean array that broadcasts to x: true keeps an element, false removes it. Empty keeps all.
  Var mask = {};
};

/// Returns exp(x) / sum(exp(x)) along an axis. Elements that the mask removes are 0. A row that
/// keeps no element, or in which all are -inf, is 0 and has a gradient of 0.
///
/// Throws Error if the axis does not exist, or if the mask is not boolean or does not broadcast to
/// x's shape.
Var softmax(const Arg& x, const SoftmaxOptions& options = {});

/// Returns log(softmax(x)), computed without the quotient. Elements that the mask removes are -inf
/// and get no gradient. A row that keeps no element is 0. A row that keeps only elements of -inf is
/// -inf and gets no gradient.
Var log_softmax(const Arg& x, const SoftmaxOptions& options = {});

/// Returns the scores where the boolean mask is true, and -inf elsewhere. softmax() gives the
/// latter a weight of 0.
Var masked(const Arg& scores, const Arg& mask);

}  // namespace v0
}  // namespace rapt
