// Connectionist temporal classification, fused: the log-softmax, and the sums over all alignments
// forwards and backwards (Graves et al. 2006, section 4.1), in log space.
//
// An utterance's labels are read with blanks around them, S = 2 U + 1 states: blank, label, blank,
// label ... blank.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

template <class T>
struct Ctc {
  const T* logits = nullptr;                // [B, T, V]
  const int32_t* targets = nullptr;         // [B, U]
  const int32_t* input_lengths = nullptr;   // [B], at most T
  const int32_t* target_lengths = nullptr;  // [B], at most U
  int64_t times = 0;                        // T
  int64_t classes = 0;                      // V
  int64_t labels = 0;                       // U
  int32_t blank = 0;

  /// The length of a row of alphas: the states, behind two that are never reached.
  int64_t row() const { return 2 * labels + 3; }
};

template <class T>
struct CtcForward {
  Ctc<T> in;
  T* loss = nullptr;  // [B]: -log p(targets), infinite where no alignment fits
  // [B, T] each: the largest logit m, and log(sum(exp(logits - m))). Both are 0 behind an
  // utterance's end, and where all logits are -inf.
  T* largest = nullptr;
  T* log_sum = nullptr;
  T* alpha = nullptr;  // [B, T, 2 U + 3], equation 6 with t's own probability; -inf: not reached
};

template <class T>
struct CtcBackward {
  Ctc<T> in;
  const T* grad_loss = nullptr;  // [B]
  const T* loss = nullptr;
  const T* largest = nullptr;
  const T* log_sum = nullptr;
  const T* alpha = nullptr;
  T* grad_logits = nullptr;  // [B, T, V]; 0 where no alignment fits
};

template <class T>
struct CtcKernels {
  /// Handles the utterances [begin, end); any split gives the same bits. `scratch` has
  /// scratch_rows rows and belongs to the call.
  void (*forward)(const CtcForward<T>&, int64_t begin, int64_t end, T* scratch);
  void (*backward)(const CtcBackward<T>&, int64_t begin, int64_t end, T* scratch);
  int64_t scratch_rows;
};

struct CtcTable {
  CtcKernels<float> f32;
  CtcKernels<double> f64;
};

RAPT_KERNEL_TABLE(CtcTable)

}  // namespace rapt::kernels
