// Kernels of convolutions. convolution_shape.hpp describes how a pass is cut.
#pragma once

#include "ops/kernels/convolution/convolution_shape.hpp"
#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

template <class T>
struct ConvolutionFunctions {
  ConvolutionPlan (*plan)(ConvolutionPass pass, const ConvolutionShape& shape, bool bias);
  /// Builds the tables and packs the weight. The weight gradient does not read the weight.
  void (*prepare)(const ConvolutionPlan& plan, const T* weight, void* shared, int64_t task);
  /// Runs one task. forward: from x to y, with a bias [out_channels] or null. input_gradient: from
  /// the gradient of y to that of x. weight_gradient: from x, with the gradient of y as `other`,
  /// into `shared`.
  void (*run)(const ConvolutionPlan& plan, const T* from, const T* other, const T* bias, T* to,
              void* shared, void* worker, int64_t task);
  /// Computes the gradients of the weight and, if the plan says so, of the bias.
  void (*combine)(const ConvolutionPlan& plan, void* shared, T* to, T* bias, int64_t task);
};

struct ConvolutionKernels {
  ConvolutionFunctions<float> f32;
  ConvolutionFunctions<double> f64;
};
RAPT_KERNEL_TABLE(ConvolutionKernels)

}  // namespace rapt::kernels
