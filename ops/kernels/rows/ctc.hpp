// Connectionist temporal classification, fused: the log-softmax and the forward-backward sums over
// all alignments, in log space (Graves et al. 2006, section 4.1).
//
// An utterance's labels are interleaved with blanks, which gives S = 2 U + 1 states: blank, label,
// blank, label ... blank.
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

  /// Returns the length of a row of alpha: two elements that are never reached, then the states.
  int64_t row() const { return 2 * labels + 3; }
};

template <class T>
struct CtcForward {
  Ctc<T> in;
  T* loss = nullptr;  // [B]: -log p(targets); infinite if no alignment fits
  // [B, T] each: the largest logit m, and log(sum(exp(logits - m))). Both are 0 past an utterance's
  // end and where all logits are -inf.
  T* largest = nullptr;
  T* log_sum = nullptr;
  T* alpha = nullptr;  // [B, T, 2 U + 3]: equation 6, including the emission at time t; -inf if not
                       // reachable
};

template <class T>
struct CtcBackward {
  Ctc<T> in;
  const T* grad_loss = nullptr;  // [B]
  const T* loss = nullptr;
  const T* largest = nullptr;
  const T* log_sum = nullptr;
  const T* alpha = nullptr;
  T* grad_logits = nullptr;  // [B, T, V]; 0 if no alignment fits
};

template <class T>
struct CtcKernels {
  /// Handles utterances [begin, end). Any split gives bitwise identical results. `scratch` has
  /// scratch_rows rows and must not be shared by concurrent calls.
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
