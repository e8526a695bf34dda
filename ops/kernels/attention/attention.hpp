// Kernels of attention. attention_arguments.hpp describes their arguments.
#pragma once

#include "ops/kernels/attention/attention_arguments.hpp"
#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

template <class T>
struct AttentionKernels {
  AttentionPlan (*plan_forward)(const Attention<T>&);
  void (*forward)(const AttentionForward<T>&, const AttentionPlan&, void* scratch, int64_t task);
  AttentionPlan (*plan_weights)(const AttentionWeights<T>&);
  void (*weights)(const AttentionWeights<T>&, const AttentionPlan&, void* scratch, int64_t task);
  /// Uses the plan of the forward pass.
  void (*statistics)(const AttentionStatistics<T>&, const AttentionPlan&, void* scratch,
                     int64_t task);
};

template <class T>
struct AttentionBackwardKernels {
  AttentionPlan (*plan)(const AttentionBackward<T>&);
  void (*run)(const AttentionBackward<T>&, const AttentionPlan&, void* workspace, void* scratch,
              int64_t task);
  void (*combine)(const AttentionBackward<T>&, const AttentionPlan&, const void* workspace,
                  int64_t task);
  void (*bias)(const AttentionBackward<T>&, const AttentionPlan&, void* scratch, int64_t task);
};

struct AttentionTable {
  AttentionKernels<float> f32;
  AttentionKernels<double> f64;
};

struct AttentionBackwardTable {
  AttentionBackwardKernels<float> f32;
  AttentionBackwardKernels<double> f64;
};

RAPT_KERNEL_TABLE(AttentionTable)
RAPT_KERNEL_TABLE(AttentionBackwardTable)

}  // namespace rapt::kernels
