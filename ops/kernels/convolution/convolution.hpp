// The kernels of convolutions; convolution_shape.hpp says how one is cut up.
#pragma once

#include "ops/kernels/convolution/convolution_shape.hpp"
#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

template <class T>
struct ConvolutionFunctions {
  ConvolutionPlan (*plan)(ConvolutionPass pass, const ConvolutionShape& shape, bool bias);
  /// Makes tables, and orders the weight (not read for its own gradient).
  void (*prepare)(const ConvolutionPlan& plan, const T* weight, void* shared, int64_t task);
  /// forward: from x, to y, with a bias [out_channels] or null; input_gradient: from y's gradient
  /// to x's; weight_gradient: from x, with y's gradient as `other`, into `shared`.
  void (*run)(const ConvolutionPlan& plan, const T* from, const T* other, const T* bias, T* to,
              void* shared, void* worker, int64_t task);
  /// The gradients of the weight and, where the plan says so, of the bias.
  void (*combine)(const ConvolutionPlan& plan, void* shared, T* to, T* bias, int64_t task);
};

struct ConvolutionKernels {
  ConvolutionFunctions<float> f32;
  ConvolutionFunctions<double> f64;
};
RAPT_KERNEL_TABLE(ConvolutionKernels)

}  // namespace rapt::kernels
