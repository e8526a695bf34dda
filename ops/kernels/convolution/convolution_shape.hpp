// Convolution over planes, its gradient by the input and its gradient by the weight.
//
// All three are products with a matrix A that is never stored: element (i, p) of A lies at
// window[rows[i] + steps[p]] in a copy of the input with its padding, of a few images or a band of
// one. Row i is an output pixel and p a channel and tap, or, for the weight, the other way round.
//
// A pass has three stages, each cut into tasks by shape alone: all tasks of one stage have to be
// done before the next begins.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rapt::kernels {

/// One direction of the planes: out = (in + 2 padding - dilation (kernel - 1) - 1) / stride + 1.
struct ConvolutionAxis {
  int64_t in = 1, out = 1;
  int64_t kernel = 1, stride = 1, padding = 0, dilation = 1;
};

/// x [batch, channels, rows.in, columns.in], y [batch, out_channels, rows.out, columns.out], weight
/// [out_channels, channels / groups, rows.kernel, columns.kernel], all contiguous.
struct ConvolutionShape {
  int64_t batch, channels, out_channels, groups;
  ConvolutionAxis rows, columns;
};

enum class ConvolutionPass : int8_t { forward, input_gradient, weight_gradient };

/// How a pass is cut up. The caller needs the numbers of tasks and the bytes.
struct ConvolutionPlan {
  ConvolutionPass pass = ConvolutionPass::forward;
  ConvolutionShape shape{};
  bool bias = false;  ///< weight_gradient: the bias has one too.
  int64_t prepare_tasks = 0, tasks = 0, combine_tasks = 0;
  size_t shared_bytes = 0;  ///< For all tasks together, aligned to 64 bytes.
  size_t worker_bytes = 0;  ///< For each call of run() at a time, aligned to 64 bytes.

  bool narrow = false;            // Few channels come of a group: vectors of pixels.
  int64_t images = 1;             // In a chunk; more than one only where there is one band.
  int64_t rows = 1, columns = 1;  // Of a band's pixels.
  int64_t row_bands = 1, column_bands = 1;
  int64_t task_groups = 1;  // Groups that a task does, one after the other.
  int64_t parts = 1;        // Of the weight's gradient, to be added up.
};

}  // namespace rapt::kernels
