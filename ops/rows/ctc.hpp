// Connectionist temporal classification (CTC): the loss of a label sequence whose alignment to the
// time steps is unknown (Graves, Fernandez, Gomez and Schmidhuber 2006).
#pragma once

#include "framework/core/api.hpp"
#include "ops/rows/loss.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct CtcOptions {
  /// Class that stands for no label.
  int32_t blank = 0;
  /// Reduction of the losses. As in PyTorch, the mean divides each utterance's loss by its number
  /// of labels (at least 1) first.
  Reduction reduction = Reduction::mean;
  /// True to replace an infinite loss, where no alignment fits, by 0.
  bool zero_infinity = false;
};

/// Returns -log p(targets), where p is the sum over all alignments of each utterance's labels. An
/// alignment repeats each label for one or more time steps, in order. Blanks may stand between
/// labels, and at least one must stand between equal labels. The log-softmax of the logits is
/// included.
///
/// Shapes: logits [B, T, V], targets int32 [B, U], input_lengths and target_lengths int32 [B]. Time
/// steps and labels beyond the lengths are not read. If an utterance has too few time steps for its
/// labels, its loss is infinite and its gradient is 0. (In PyTorch that gradient is NaN unless
/// zero_infinity is set.)
///
/// Throws Error if shapes or types differ. Throws Error at run time if a length is negative or
/// above T or U, or if a target is the blank or not a class.
Var ctc_loss(const Arg& logits, const Arg& targets, const Arg& input_lengths,
             const Arg& target_lengths, const CtcOptions& options = {});

}  // namespace v0
}  // namespace rapt
