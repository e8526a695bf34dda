// Convolution over planes, its input gradient and its weight gradient.
//
// All three are products with a matrix A that is never stored. Element (i, p) of A is
// window[rows[i] + steps[p]], where `window` is a padded copy of the input: a few images or a band
// of one. Row i is an output pixel and p a channel and tap. For the weight gradient, their roles
// are swapped.
//
// A pass has three stages, each cut into tasks by shape alone. All tasks of one stage must be done
// before the next stage begins.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rapt::kernels {

/// One axis of the planes: out = (in + 2 padding - dilation (kernel - 1) - 1) / stride + 1.
struct ConvolutionAxis {
  int64_t in = 1, out = 1;
  int64_t kernel = 1, stride = 1, padding = 0, dilation = 1;
};

/// Shapes: x [batch, channels, rows.in, columns.in], y [batch, out_channels, rows.out,
/// columns.out], weight [out_channels, channels / groups, rows.kernel, columns.kernel]. All are
/// contiguous.
struct ConvolutionShape {
  int64_t batch, channels, out_channels, groups;
  ConvolutionAxis rows, columns;
};

enum class ConvolutionPass : int8_t { forward, input_gradient, weight_gradient };

/// A pass cut into tasks. Callers need only the numbers of tasks and bytes.
struct ConvolutionPlan {
  ConvolutionPass pass = ConvolutionPass::forward;
  ConvolutionShape shape{};
  bool bias = false;  ///< In a weight_gradient pass: also compute the bias gradient.
  int64_t prepare_tasks = 0, tasks = 0, combine_tasks = 0;
  size_t shared_bytes = 0;  ///< Shared by all tasks, aligned to 64 bytes.
  size_t worker_bytes = 0;  ///< Scratch per concurrent run(), aligned to 64 bytes.

  bool narrow = false;            // Few output channels per group: vectors run over pixels.
  int64_t images = 1;             // Images per chunk; above 1 only if there is one band.
  int64_t rows = 1, columns = 1;  // Pixels of a band.
  int64_t row_bands = 1, column_bands = 1;
  int64_t task_groups = 1;  // Number of groups per task, run one after the other.
  int64_t parts = 1;        // Number of partial sums of the weight gradient.
};

}  // namespace rapt::kernels
