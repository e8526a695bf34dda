// Kernels over rows, the contiguous last axis: softmax, layer and RMS normalisation, cross-entropy.
//
// Every function works on rows begin <= r < end, so that callers can split the work by shape. Rows
// do not depend on each other. The only exception are the parameter gradients of the
// normalisations, which are sums over rows (NormBackward).
#pragma once

#include "ops/kernels/rows/row_arguments.hpp"
#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

template <class T>
struct RowFunctions {
  void (*softmax)(const SoftmaxForward<T>&, int64_t begin, int64_t end);
  void (*softmax_backward)(const SoftmaxBackward<T>&, int64_t begin, int64_t end);
  void (*log_softmax)(const SoftmaxForward<T>&, int64_t begin, int64_t end);
  void (*log_softmax_backward)(const SoftmaxBackward<T>&, int64_t begin, int64_t end);
  void (*layer_norm)(const NormForward<T>&, int64_t begin, int64_t end);
  void (*layer_norm_backward)(const NormBackward<T>&, int64_t block_begin, int64_t block_end);
  void (*rms_norm)(const NormForward<T>&, int64_t begin, int64_t end);
  void (*rms_norm_backward)(const NormBackward<T>&, int64_t block_begin, int64_t block_end);
  /// Sums the blocks of `partial` into dgamma and dbeta.
  void (*norm_combine)(const NormBackward<T>&, int64_t column_begin, int64_t column_end);
  /// Returns the first row whose label is neither a class nor `ignore`, or -1. The loss of such a
  /// row is 0.
  int64_t (*cross_entropy)(const CrossEntropy<T>&, int64_t begin, int64_t end);
  void (*cross_entropy_backward)(const CrossEntropyBackward<T>&, int64_t begin, int64_t end);
};

struct RowKernels {
  RowFunctions<float> f32;
  RowFunctions<double> f64;
};
RAPT_KERNEL_TABLE(RowKernels)

}  // namespace rapt::kernels
