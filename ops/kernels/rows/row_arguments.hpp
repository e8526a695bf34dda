// Arguments of the kernels of softmax, normalisation and cross-entropy.
#pragma once

#include <cstdint>

namespace rapt::kernels {

/// One byte per element of [rows, width]; 1 keeps the element. The rows are those of a row-major
/// array of shape[0] x .. x shape[dims - 1], each axis with a stride in bytes; 0 broadcasts. The
/// columns are contiguous. Null data keeps everything.
struct RowMask {
  const uint8_t* data = nullptr;
  int dims = 0;
  int64_t shape[8] = {};
  int64_t strides[8] = {};
};

/// Computes y = softmax(scale * x), or its logarithm, over the kept elements of each row. Softmax
/// gives 0 to masked elements. It gives 0 to the whole row if no element is kept, or if all kept
/// elements are -inf. Log-softmax gives -inf to masked elements. It gives -inf to the whole row if
/// all kept elements are -inf, and 0 to the whole row if no element is kept. Masked values are
/// ignored, even NaN. y may be x.
template <class T>
struct SoftmaxForward {
  const T* x;  // [rows, width]
  T* y;        // [rows, width]
  int64_t width;
  T scale = T(1);
  RowMask mask = {};
};

/// Computes dx from y and dy: scale * y * (dy - sum(dy * y)) for softmax, scale * (dy - exp(y) *
/// sum(dy)) for log-softmax. dx is 0 where the element is masked and where a whole row is -inf. dx
/// may be dy.
template <class T>
struct SoftmaxBackward {
  const T* y;
  const T* dy;
  T* dx;
  int64_t width;
  T scale = T(1);
  RowMask mask = {};
  bool streaming = false;  // allows non-temporal stores to dx; softmax only
};

/// Computes y = (x - mean) * rstd * gamma + beta with rstd = 1 / sqrt(variance + epsilon). The
/// variance divides by n, not n - 1 (Ba et al., arXiv:1607.06450). RMS normalisation subtracts no
/// mean and takes rstd from the mean of squares (Zhang and Sennrich, arXiv:1910.07467).
template <class T>
struct NormForward {
  const T* x;      // [rows, width]
  T* y;            // [rows, width]
  const T* gamma;  // [width], or null for 1
  const T* beta;   // [width], or null for 0; not used by RMS
  T* mean;         // [rows]; not used by RMS
  T* rstd;         // [rows]
  int64_t width;
  T epsilon;
};

/// Computes dx and the gradients of gamma and beta, which are sums over rows. First, each block of
/// rows writes its sums to `partial` (blocks begin <= b < end). Then the blocks are added up
/// (columns begin <= c < end). norm_block_rows(rows) alone determines the blocks, so the sums do
/// not depend on the number of threads.
template <class T>
struct NormBackward {
  const T* x;
  const T* dy;
  T* dx;           // may be dy; null if only the parameter gradients are needed
  const T* gamma;  // null for 1
  const T* mean;   // not used by RMS
  const T* rstd;
  T* partial;  // [blocks, 2, width]: of gamma, of beta; or null
  T* dgamma;   // [width] or null
  T* dbeta;    // [width] or null; not used by RMS
  int64_t rows, width;
  bool streaming = false;  // allows non-temporal stores to dx
};

/// Returns the number of rows per block of NormBackward, and the number of blocks. A block has at
/// most 128 rows because its sum is taken in T. Always inlined, like all functions that kernels
/// built for several instruction sets share.
[[gnu::always_inline]] inline constexpr int64_t norm_block_rows(int64_t rows) {
  return rows <= 256 * 16 ? 16 : rows <= 256 * 128 ? (rows + 255) / 256 : 128;
}
[[gnu::always_inline]] inline constexpr int64_t norm_blocks(int64_t rows) {
  return (rows + norm_block_rows(rows) - 1) / norm_block_rows(rows);
}

/// Computes the cross-entropy of rows of logits with int32 labels, as
/// torch.nn.functional.cross_entropy before its reduction.
///
/// With log p = log_softmax(logits) and C classes, the loss is (1 - smoothing) * -w[label] log
/// p[label] + smoothing / C * sum_c -w[c] log p[c]. A row whose label is `ignore` has loss, weight
/// and gradient 0. The mean divides the sum of the losses by the sum of the weights.
template <class T>
struct CrossEntropy {
  const T* logits;        // [rows, classes]
  const int32_t* labels;  // [rows]
  const T* class_weight;  // [classes], or null for 1
  int64_t classes;
  T smoothing = T(0);
  int32_t ignore = -100;
  T* loss;    // [rows]; inf if all logits are -inf
  T* weight;  // [rows]: w[label], or 0 for ignored rows; may be null
  // Kept for the backward pass, [rows] each: the largest logit, and log(sum(exp(logits -
  // largest))). The latter is inf if all logits are -inf. The two are stored separately because a
  // large `largest` would absorb the logarithm in rounding.
  T* largest;
  T* log_sum;
};

/// Computes dlogits = grad * d loss / d logits from the logits and the values kept by the forward
/// pass. It is 0 if all logits are -inf.
template <class T>
struct CrossEntropyBackward {
  const T* logits;
  const int32_t* labels;
  const T* class_weight;
  int64_t classes;
  T smoothing = T(0);
  int32_t ignore = -100;
  const T* largest;
  const T* log_sum;
  const T* grad;        // upstream gradient of each row's loss
  int64_t grad_stride;  // 1, or 0 for one value shared by all rows
  T* dlogits;           // [rows, classes]; may be the logits
};

}  // namespace rapt::kernels
