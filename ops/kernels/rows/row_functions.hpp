// The functions behind the table of row kernels, each defined in one of softmax.cpp, norm.cpp and
// cross_entropy.cpp, and what these share.
#pragma once

#include <limits>

#include "ops/kernels/rows/row_arguments.hpp"
#include "ops/kernels/simd/row_loop.hpp"

// Bodies of row loops. Their accumulators stay in registers only if the bodies are inlined.
#define RAPT_INLINE_BODY __attribute__((always_inline))

namespace rapt::kernels::RAPT_KERNEL_ISA {

template <class T, bool logarithm>
void softmax(const SoftmaxForward<T>& s, int64_t begin, int64_t end);
template <class T>
void softmax_backward(const SoftmaxBackward<T>& s, int64_t begin, int64_t end);
template <class T>
void log_softmax_backward(const SoftmaxBackward<T>& s, int64_t begin, int64_t end);

/// Layer normalisation if `centred`, else RMS normalisation.
template <class T, bool centred>
void norm(const NormForward<T>& s, int64_t begin, int64_t end);
template <class T, bool centred>
void norm_backward(const NormBackward<T>& s, int64_t block_begin, int64_t block_end);
template <class T>
void norm_combine(const NormBackward<T>& s, int64_t column_begin, int64_t column_end);

template <class T>
int64_t cross_entropy(const CrossEntropy<T>& s, int64_t begin, int64_t end);
template <class T>
void cross_entropy_backward(const CrossEntropyBackward<T>& s, int64_t begin, int64_t end);

template <class T>
inline constexpr T infinity = std::numeric_limits<T>::infinity();

template <class T>
inline T scalar_log(T x) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_logf(x);
  } else {
    return __builtin_log(x);
  }
}

/// True if dx is written by non-temporal stores. Not used if dx overwrites dy, because its cache
/// lines have just been loaded.
template <class Backward>
inline bool streams(const Backward& s) {
  return s.streaming && s.dx != s.dy && can_stream(s.dx, s.width);
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
