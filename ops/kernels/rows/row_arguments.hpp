// What the kernels of softmax, norms and cross entropy are given.
#pragma once

#include <cstdint>

namespace rapt::kernels {

/// One byte per element of [rows, width], 1 = keep. The rows are those of a row-major
/// shape[0] x .. x shape[dims - 1], each with a stride in bytes (0 = broadcast); the columns are
/// contiguous. No data: everything is kept.
struct RowMask {
  const uint8_t* data = nullptr;
  int dims = 0;
  int64_t shape[8] = {};
  int64_t strides[8] = {};
};

/// y = softmax(scale * x), or its logarithm, over the kept elements. Softmax gives 0 to the others
/// and to all of a row that keeps none, or nothing but -inf. Log-softmax gives -inf to the others
/// and to all of a row that keeps nothing but -inf, and 0 to all of a row that keeps none. Values
/// under the mask are ignored, NaN too. y may be x.
template <class T>
struct SoftmaxForward {
  const T* x;  // [rows, width]
  T* y;        // [rows, width]
  int64_t width;
  T scale = T(1);
  RowMask mask = {};
};

/// dx from y and dy: scale * y * (dy - sum(dy * y)), or scale * (dy - exp(y) * sum(dy)). 0 where
/// the mask keeps nothing, and where all of a row is -inf. dx may be dy.
template <class T>
struct SoftmaxBackward {
  const T* y;
  const T* dy;
  T* dx;
  int64_t width;
  T scale = T(1);
  RowMask mask = {};
  bool streaming = false;  // dx may be written past the caches; for softmax alone
};

/// y = (x - mean) * rstd * gamma + beta with rstd = 1 / sqrt(variance + epsilon), the variance of
/// n, not n - 1 (Ba et al., arXiv:1607.06450). RMS: no mean, and rstd from the mean of squares
/// (Zhang and Sennrich, arXiv:1910.07467).
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

/// dx, and the gradients of gamma and beta, which are sums over rows: first per block of rows
/// (blocks begin <= b < end, into `partial`), then over blocks (columns begin <= c < end). Blocks
/// are cut by norm_block_rows(rows), so that the sums do not depend on how they are shared out.
template <class T>
struct NormBackward {
  const T* x;
  const T* dy;
  T* dx;           // may be null where only the parameters' gradients are wanted, or be dy
  const T* gamma;  // or null for 1
  const T* mean;   // not used by RMS
  const T* rstd;
  T* partial;  // [blocks, 2, width]: of gamma, of beta; null where those are not wanted
  T* dgamma;   // [width] or null
  T* dbeta;    // [width] or null; not used by RMS
  int64_t rows, width;
  bool streaming = false;  // dx may be written past the caches
};

/// Rows in one block of NormBackward (128 at most, as their sum is one in T), and the number of
/// blocks. Always inlined, as all that kernels built for several instruction sets share.
[[gnu::always_inline]] inline constexpr int64_t norm_block_rows(int64_t rows) {
  return rows <= 256 * 16 ? 16 : rows <= 256 * 128 ? (rows + 255) / 256 : 128;
}
[[gnu::always_inline]] inline constexpr int64_t norm_blocks(int64_t rows) {
  return (rows + norm_block_rows(rows) - 1) / norm_block_rows(rows);
}

/// Cross-entropy of rows of logits with int32 labels, as torch.nn.functional.cross_entropy before
/// its reduction: with log p = log_softmax(logits) and C classes,
///   loss = (1 - smoothing) * -w[label] log p[label] + smoothing / C * sum_c -w[c] log p[c].
/// A row whose label is `ignore` has loss, weight and gradient 0. The mean divides the sum of the
/// losses by the sum of the weights.
template <class T>
struct CrossEntropy {
  const T* logits;        // [rows, classes]
  const int32_t* labels;  // [rows]
  const T* class_weight;  // [classes], or null for 1
  int64_t classes;
  T smoothing = T(0);
  int32_t ignore = -100;
  T* loss;    // [rows]; inf where all logits are -inf
  T* weight;  // [rows]: w[label], 0 for ignored rows; or null
  // What the backward pass reads, [rows] each: the largest logit, and log(sum(exp(logits -
  // largest))), inf where all logits are -inf. Added up, large logits would swallow the logarithm.
  T* largest;
  T* log_sum;
};

/// dlogits = grad * d loss / d logits, from the logits and what the forward pass left. 0 where all
/// logits are -inf.
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
  int64_t grad_stride;  // 1, or 0: one value for all rows
  T* dlogits;           // [rows, classes]; may be the logits
};

}  // namespace rapt::kernels
