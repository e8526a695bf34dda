// Connectionist temporal classification: the loss of a sequence of labels where nobody knows at
// which times they stand (Graves, Fernandez, Gomez and Schmidhuber 2006).
#pragma once

#include "framework/core/api.hpp"
#include "ops/rows/loss.hpp"

namespace rapt RAPT_API {

struct CtcOptions {
  /// The class that stands for no label.
  int32_t blank = 0;
  /// The mean is that of each utterance's loss divided by its number of labels (at least 1), as in
  /// PyTorch.
  Reduction reduction = Reduction::mean;
  /// Where no alignment fits, the loss is 0 in place of infinity.
  bool zero_infinity = false;
};

/// -log p(targets): the sum over all ways to write each utterance's labels, in order, each for one
/// or more times, with blanks anywhere between and at least one between equal labels. The
/// log-softmax of the logits is part of it.
///
/// logits [B, T, V], targets int32 [B, U], input_lengths and target_lengths int32 [B]: times and
/// labels behind them are not looked at. Where an utterance has too few times for its labels the
/// loss is infinite; its gradient is 0 (in PyTorch it is NaN unless zero_infinity is set).
///
/// Throws Error where shapes or types differ, and, when it is computed, for a length that is
/// negative or above T or U, and for a target that is no class or the blank.
Var ctc_loss(const Arg& logits, const Arg& targets, const Arg& input_lengths,
             const Arg& target_lengths, const CtcOptions& options = {});

}  // namespace RAPT_API
