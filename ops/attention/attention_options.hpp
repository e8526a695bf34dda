// Options of attention() besides queries, keys and values.
#pragma once

#include "framework/core/api.hpp"
#include "ops/attention/mask.hpp"
#include "ops/attention/score.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct AttentionOptions {
  Mask mask = {};
  /// Factor of the scores. 0 stands for 1 / sqrt(D).
  double scale = 0;
  /// Function that maps the scaled scores to new scores (see ops/attention/score.hpp). It is
  /// applied before the mask and the bias. The outside values that it uses get gradients.
  ScoreFunction score = {};
  /// Added to the scores; broadcasts to [B, Hq, Tq, Tk]. It gets a gradient of its own shape. A
  /// value of -inf hides a key as a mask does.
  Var bias = {};
  /// Probability of dropping a weight, on a training tape only.
  double dropout = 0;
};

}  // namespace v0
}  // namespace rapt
