// What attention takes beside queries, keys and values.
#pragma once

#include "framework/core/api.hpp"
#include "ops/attention/mask.hpp"
#include "ops/attention/score.hpp"

namespace rapt RAPT_API {

struct AttentionOptions {
  Mask mask = {};
  /// What scores are multiplied by; 0: 1 / sqrt(D).
  double scale = 0;
  /// Makes new scores of the scaled ones (see ops/attention/score.hpp), before masks and the bias.
  /// What it takes from outside gets its gradients.
  ScoreFunction score = {};
  /// Added to the scores; broadcasts to [B, Hq, Tq, Tk]. It gets its gradient, in its own
  /// shape. -inf hides a key as a mask does.
  Var bias = {};
  /// The probability that a weight is dropped, on a tape for training.
  double dropout = 0;
};

}  // namespace RAPT_API
